//! `/agent/`: who may open a session at all.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};

use super::{Fleet, session};
use crate::access::tokens;
use crate::store::{Credential, EndedToken, StoreError, TokenEnd};

const READ_BUFFER: usize = 8 << 10;
const WRITE_BUFFER: usize = 8 << 10;

pub fn router(fleet: Fleet) -> Router {
    Router::new()
        .route("/agent/", any(open))
        .route("/agent", any(open))
        .route("/agent/probe", get(probe))
        .with_state(fleet)
}

/// The credential is judged before anything is upgraded.
async fn open(State(fleet): State<Fleet>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    let credential = match judge(&fleet, &headers).await {
        Ok(credential) => credential,
        Err(refusal) => return *refusal,
    };
    let config = c7n_link::Config::default();
    upgrade
        .protocols([c7n_link::SUBPROTOCOL])
        .max_message_size(config.max_frame)
        .max_frame_size(config.max_frame)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(4 * config.max_frame)
        .on_upgrade(move |socket| session::run(fleet, credential, socket))
}

/// For an agent that stands by: would it be taken in? Nothing is opened, and nothing changes.
async fn probe(State(fleet): State<Fleet>, headers: HeaderMap) -> Response {
    match judge(&fleet, &headers).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => *refusal,
    }
}

pub(super) async fn judge(fleet: &Fleet, headers: &HeaderMap) -> Result<Credential, Box<Response>> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let Some(token) = token else {
        return Err(refused(UNKNOWN));
    };
    let hash = tokens::hash(token);
    match look_up(fleet, &hash).await {
        Ok(Known::Valid(credential)) => Ok(credential),
        Ok(Known::Ended(ended)) => {
            let words = words(ended.why);
            tell(fleet, &ended.cluster_id, words).await;
            Err(refused(words))
        }
        Ok(Known::Nothing) => Err(refused(UNKNOWN)),
        Err(error) => {
            tracing::error!(%error, "the database cannot say whose credential this is");
            let wait = [(header::RETRY_AFTER, "5")];
            let text = "the platform cannot answer at this moment";
            Err(Box::new(
                (StatusCode::SERVICE_UNAVAILABLE, wait, text).into_response(),
            ))
        }
    }
}

enum Known {
    Valid(Credential),
    Ended(EndedToken),
    Nothing,
}

async fn look_up(fleet: &Fleet, hash: &str) -> Result<Known, StoreError> {
    let store = &fleet.inner.store;
    if let Some(credential) = store.credential(hash).await? {
        return Ok(Known::Valid(credential));
    }
    Ok(store
        .ended_token(hash)
        .await?
        .map_or(Known::Nothing, Known::Ended))
}

/// Whoever shows nothing that ever worked learns nothing: these words are the same for all of them.
const UNKNOWN: &str = "this credential is not known here: it may be used, expired, or of another platform; \
                       `c7n cluster activation` makes a new one";

fn words(why: TokenEnd) -> &'static str {
    match why {
        TokenEnd::Used => {
            "this activation token was used already: it works once, for one agent; `c7n cluster activation` makes a new command"
        }
        TokenEnd::Replaced => {
            "this activation token was replaced by a newer one: paste the newest command, or make another with \
             `c7n cluster activation`"
        }
        TokenEnd::Expired => {
            "this activation token expired: it works for a day; `c7n cluster activation` makes a new command"
        }
    }
}

/// For the people who look at the cluster.
async fn tell(fleet: &Fleet, cluster: &str, words: &str) {
    let told = async {
        let mut tx = fleet.inner.store.write().await?;
        let message = format!("its agent was refused: {words}");
        tx.tell_of_refusal(cluster, &message).await?;
        tx.commit().await
    };
    if let Err(error) = told.await {
        tracing::warn!(%cluster, %error, "a refusal could not be told");
    }
}

fn refused(text: &'static str) -> Box<Response> {
    let refusal = (
        StatusCode::UNAUTHORIZED,
        [(header::WWW_AUTHENTICATE, "Bearer")],
        text,
    );
    Box::new(refusal.into_response())
}
