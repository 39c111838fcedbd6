//! The stream of changes, as server-sent events.
//!
//! Rows are read by id, a batch at a time, as fast as the reader takes them: a slow reader holds one batch and nobody up. What
//! the reader may see, and whether their token still works, is asked anew with every batch and every 15 seconds.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use c7n_api::Problem;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::authenticate::SignedIn;
use super::extract::Asked;
use super::{Api, Failure};
use crate::access::Verb;
use crate::store::{EventFilter, EventRow, Missed, StoreError, Viewer, now_ms};

const BATCH: u32 = 100;
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(stream_events))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Id of the last event seen; the header `Last-Event-ID` goes before it. Without either the stream begins now.
    since: Option<i64>,
    /// Only of this project, by name or id.
    project: Option<String>,
    /// Only of this environment, by name or id; needs `project`.
    environment: Option<String>,
}

/// The stream of changes.
///
/// Server-sent events: `id` is the id of the event, `data` an `Event`. The first has an id and no data: it says where the
/// stream begins. What is no longer kept (20,000 events, 24 hours) is answered by `reset`: read the lists anew.
#[utoipa::path(
    get, path = "/events", tag = "events", params(Wanted),
    responses(
        (status = 200, content_type = "text/event-stream", body = c7n_api::Event),
        (status = 404, body = Problem), (status = 503, body = Problem),
    )
)]
async fn stream_events(
    State(api): State<Api>,
    who: SignedIn,
    Asked(wanted): Asked<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let filter = filter(&api, &who, &wanted).await?;
    let permit = api.inner.event_streams.clone().try_acquire_owned().map_err(|_| {
        let next = "close a stream, or try again soon";
        Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "too many streams are open",
            next,
        )
        .retry_after(10)
    })?;
    let newest = api.store().watch_events();
    let since = last_event_id(&headers)
        .or(wanted.since)
        .unwrap_or_else(|| *newest.borrow());
    let reader = Reader {
        api,
        who,
        filter,
        newest,
        seen: since,
        greeted: false,
        waiting: VecDeque::new(),
        _permit: permit,
    };
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    let mut response = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(HEARTBEAT))
        .into_response();
    // nginx would otherwise hold events back until its buffer is full.
    let buffering = HeaderName::from_static("x-accel-buffering");
    response
        .headers_mut()
        .insert(buffering, HeaderValue::from_static("no"));
    Ok(response)
}

async fn filter(api: &Api, who: &SignedIn, wanted: &Wanted) -> Result<EventFilter, Failure> {
    match (&wanted.project, &wanted.environment) {
        (None, None) => Ok(EventFilter::default()),
        (Some(project), None) => {
            let project = api.project(who, Verb::See, project).await?;
            Ok(EventFilter {
                project: Some(project.id),
                environment: None,
            })
        }
        (Some(project), Some(environment)) => {
            let (project, environment) = api.environment(who, Verb::See, (project, environment)).await?;
            Ok(EventFilter {
                project: Some(project.id),
                environment: Some(environment.id),
            })
        }
        (None, Some(_)) => Err(Failure::invalid("`environment` needs `project`", "give both")),
    }
}

fn last_event_id(headers: &HeaderMap) -> Option<i64> {
    headers.get("last-event-id")?.to_str().ok()?.trim().parse().ok()
}

struct Reader {
    api: Api,
    who: SignedIn,
    filter: EventFilter,
    newest: watch::Receiver<i64>,
    /// All events up to this id were sent, or are not for this reader.
    seen: i64,
    greeted: bool,
    waiting: VecDeque<EventRow>,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    /// `None` ends the stream; the reader comes back with the last id and a token that works.
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            return Some(Event::default().id(self.seen.to_string()).comment("connected"));
        }
        loop {
            if let Some(row) = self.waiting.pop_front() {
                return Some(event(&row));
            }
            match self.read().await {
                Ok(Some(reset)) => return Some(reset),
                Ok(None) if self.waiting.is_empty() => self.wait().await?,
                Ok(None) => {}
                Err(End::Token) => return None,
                Err(End::Store(error)) => {
                    tracing::warn!(%error, "a stream of events ends because it cannot be read");
                    return None;
                }
            }
        }
    }

    /// Fills `waiting`; an event in the answer is a reset.
    async fn read(&mut self) -> Result<Option<Event>, End> {
        let viewer = self.viewer().await?;
        let store = self.api.store();
        if let Missed::Gone { newest } = store.events_missed(self.seen).await? {
            self.seen = newest;
            return Ok(Some(reset(newest)));
        }
        // Taken before the rows are read: what is newer than this is read the next time.
        let newest = *self.newest.borrow_and_update();
        let rows = store
            .events_after(self.seen, &viewer, &self.filter, BATCH)
            .await?;
        let all = rows.len() < BATCH as usize;
        self.seen = rows
            .last()
            .map_or(self.seen, |row| row.id)
            .max(if all { newest } else { 0 });
        self.waiting = rows.into();
        Ok(None)
    }

    /// Who they are by now: a token may have been revoked, a user may have lost their rights.
    async fn viewer(&self) -> Result<Viewer, End> {
        let owner = self
            .api
            .store()
            .token_owner(&self.who.token_hash)
            .await?
            .ok_or(End::Token)?;
        Ok(Viewer {
            user: owner.caller.id,
            administrator: owner.caller.administrator,
        })
    }

    async fn wait(&mut self) -> Option<()> {
        tokio::select! {
            () = self.api.inner.shutdown.cancelled() => None,
            changed = self.newest.changed() => changed.ok(),
            () = tokio::time::sleep(HEARTBEAT) => Some(()),
        }
    }
}

enum End {
    Token,
    Store(StoreError),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn reset(id: i64) -> Event {
    let row = EventRow {
        id,
        project: None,
        environment: None,
        time_ms: now_ms(),
        change: r#"{"type":"reset"}"#.to_owned(),
    };
    event(&row)
}

fn event(row: &EventRow) -> Event {
    Event::default().id(row.id.to_string()).data(data(row))
}

/// The row as a `c7n_api::Event`. The change is JSON already, of an object that is flattened into the event: it is joined as
/// text, so that many readers of one event do not each parse it.
fn data(row: &EventRow) -> String {
    let head = serde_json::json!({
        "id": row.id, "project": row.project, "environment": row.environment, "time_ms": row.time_ms,
    })
    .to_string();
    let head = head.strip_suffix('}').unwrap_or(&head);
    let change = row.change.strip_prefix('{').unwrap_or(&row.change);
    format!("{head},{change}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use c7n_api::EventChange;

    #[test]
    fn a_row_is_read_as_the_event_that_it_is() {
        let changes = [EventChange::Reset, EventChange::ClusterDeleted { id: "c".into() }];
        for change in changes {
            let row = EventRow {
                id: 7,
                project: Some("p".into()),
                environment: None,
                time_ms: 9,
                change: serde_json::to_string(&change).unwrap(),
            };
            let read: c7n_api::Event = serde_json::from_str(&data(&row)).unwrap();
            let meant = c7n_api::Event {
                id: 7,
                project: Some("p".into()),
                environment: None,
                time_ms: 9,
                change,
            };
            assert_eq!(read, meant);
        }
    }
}
