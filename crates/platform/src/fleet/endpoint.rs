//! `/agent/`: who may open a session at all.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use super::{Fleet, session};
use crate::access::tokens;

const READ_BUFFER: usize = 8 << 10;
const WRITE_BUFFER: usize = 8 << 10;

pub fn router(fleet: Fleet) -> Router {
    Router::new()
        .route("/agent/", any(open))
        .route("/agent", any(open))
        .with_state(fleet)
}

/// The credential is judged before anything is upgraded, and every refusal reads the same.
async fn open(State(fleet): State<Fleet>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let Some(token) = token else { return refused() };
    let credential = match fleet.inner.store.credential(&tokens::hash(token)).await {
        Ok(Some(credential)) => credential,
        Ok(None) => return refused(),
        Err(error) => {
            tracing::error!(%error, "the database cannot say whose credential this is");
            let wait = [(header::RETRY_AFTER, "5")];
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                wait,
                "the platform cannot answer at this moment",
            )
                .into_response();
        }
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

fn refused() -> Response {
    let text = "this credential is not known here: it may be used, expired, or of another platform; \
                `c7n cluster activation` makes a new one";
    (
        StatusCode::UNAUTHORIZED,
        [(header::WWW_AUTHENTICATE, "Bearer")],
        text,
    )
        .into_response()
}
