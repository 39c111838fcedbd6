//! Who may take a seat. The ticket is judged before anything is upgraded; who is refused has their connection closed, so that
//! nothing can be said after a refusal.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use c7n_stream::{MAX_FRAME, SUBPROTOCOL, TICKET_HEADER, TICKET_PROTOCOL, Ticket};
use tokio::time::Instant;

use super::joint::Joint;
use super::state::Side;
use super::{Streams, seat, tickets};
use crate::api::Failure;

const READ_BUFFER: usize = 16 << 10;
/// What is handed over waits until it is as much, or until nothing more comes.
const WRITE_BUFFER: usize = 16 << 10;
/// All headers of who is not known yet.
const HEADERS: usize = 16 << 10;

/// Where agents come.
pub fn router(streams: Streams) -> Router {
    Router::new()
        .route(c7n_stream::AGENT_PATH, any(agent))
        .layer(from_fn(close_unless_joined))
        .with_state(streams)
}

async fn agent(State(streams): State<Streams>, headers: HeaderMap, upgrade: Upgrade) -> Response {
    match streams.inner.fleet.judge(&headers).await {
        Ok(credential) => {
            streams
                .join_agent(&credential.cluster_id, &headers, upgrade)
                .await
        }
        Err(refusal) => *refusal,
    }
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// One and the same, whether a ticket never was, was used, is too old or is somebody else's.
const NO_TICKET: &str = "this ticket opens no stream: it was used, is too old, or is of another";

impl Streams {
    /// A person's end. `user` is who shows a token beside the ticket, if anybody does.
    pub fn join_client(&self, user: Option<&str>, headers: &HeaderMap, upgrade: Upgrade) -> Response {
        let answer = self.admit_client(user, headers, upgrade);
        answer.unwrap_or_else(|failure| failure.into_response())
    }

    fn admit_client(
        &self,
        user: Option<&str>,
        headers: &HeaderMap,
        upgrade: Upgrade,
    ) -> Result<Response, Failure> {
        let next = "open a stream with POST .../streams, and take its seat as that answer says";
        let no_upgrade = |title: String| Failure::new(StatusCode::BAD_REQUEST, "no-stream", title, next);
        let upgrade = upgrade.map_err(|rejection| no_upgrade(rejection.body_text()))?;
        if too_long(headers) {
            return Err(no_upgrade("the headers are too long".to_owned()));
        }
        let offered = Offered::read(headers);
        if !offered.stream {
            return Err(no_upgrade(format!("the subprotocol {SUBPROTOCOL} is missing")));
        }
        let refused = || Failure::new(StatusCode::UNAUTHORIZED, "bad-ticket", NO_TICKET, next);
        let ticket = offered.ticket.ok_or_else(refused)?;
        let hash = tickets::hash(&ticket);
        let (joint, side) = self.inner.registry.find(&hash).ok_or_else(refused)?;
        let own = user.is_none_or(|user| user == joint.row.user_id);
        if side != Side::Client || !own || !self.admit(&joint, side, &hash) {
            return Err(refused());
        }
        Ok(self.upgrade(joint, side, upgrade))
    }

    /// An agent's end, whose credential is good for this cluster.
    async fn join_agent(&self, cluster: &str, headers: &HeaderMap, upgrade: Upgrade) -> Response {
        let refused = |status: StatusCode, words: &str| {
            (
                status,
                format!("{words}; the platform tells the agent of each stream that it is to join"),
            )
                .into_response()
        };
        let upgrade = match upgrade {
            Ok(upgrade) => upgrade,
            Err(rejection) => return rejection.into_response(),
        };
        if !Offered::read(headers).stream {
            return refused(
                StatusCode::BAD_REQUEST,
                "the subprotocol c7n.stream.v1 is missing",
            );
        }
        let ticket = headers.get(TICKET_HEADER).and_then(|value| value.to_str().ok());
        let ticket = ticket.and_then(|text| Ticket::parse(text).ok());
        let unknown = || refused(StatusCode::UNAUTHORIZED, NO_TICKET);
        let Some(hash) = ticket.as_ref().map(tickets::hash) else {
            return unknown();
        };
        let Some((joint, side)) = self.inner.registry.find(&hash) else {
            return unknown();
        };
        if joint.cluster_id != cluster {
            // It stays good for the one whose it is.
            self.inner.fleet.alarm(cluster, "a stream").await;
            return unknown();
        }
        if side != Side::Agent || !self.admit(&joint, side, &hash) {
            return unknown();
        }
        self.upgrade(joint, side, upgrade)
    }

    fn admit(&self, joint: &Joint, side: Side, ticket: &tickets::TicketHash) -> bool {
        let mut state = joint.state();
        let admitted = state.admit(side, ticket, Instant::now());
        let used_up = state.tickets().all(|known| known != ticket);
        drop(state);
        if used_up {
            self.inner.registry.forget([ticket]);
        }
        admitted
    }

    fn upgrade(&self, joint: Arc<Joint>, side: Side, upgrade: WebSocketUpgrade) -> Response {
        let streams = self.clone();
        upgrade
            .protocols([SUBPROTOCOL])
            .max_message_size(MAX_FRAME)
            .max_frame_size(MAX_FRAME)
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(WRITE_BUFFER + 2 * MAX_FRAME)
            .on_upgrade(move |socket| seat::sit(streams, joint, side, socket))
    }
}

/// What the header of the subprotocols says.
struct Offered {
    stream: bool,
    ticket: Option<Ticket>,
}

impl Offered {
    fn read(headers: &HeaderMap) -> Self {
        let mut offered = Self {
            stream: false,
            ticket: None,
        };
        let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
        let names = values.iter().filter_map(|value| value.to_str().ok());
        for name in names.flat_map(|names| names.split(',')).map(str::trim) {
            if name == SUBPROTOCOL {
                offered.stream = true;
            } else if let Some(ticket) = name.strip_prefix(TICKET_PROTOCOL) {
                offered.ticket = Ticket::parse(ticket).ok();
            }
        }
        offered
    }
}

fn too_long(headers: &HeaderMap) -> bool {
    let length: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    length > HEADERS
}

/// A connection on which an upgrade was refused is not used again (CVE-2018-1002105 and its like).
pub async fn close_unless_joined(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let version = request.version();
    let mut response = next.run(request).await;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS && version <= Version::HTTP_11 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}
