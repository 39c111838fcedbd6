use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use c7n_api::Problem;

use crate::api::{Api, authenticate};

/// Join a stream that was opened: a WebSocket.
///
/// It offers the subprotocols `c7n.stream.v1` and `c7n.ticket.` followed by the ticket, and gets the first. The ticket is the
/// right; a token that is shown beside it must be of the same user.
#[utoipa::path(
    get, path = "/streams", tag = "streams",
    responses(
        (status = 101, description = "frames of `c7n.stream.v1` follow"),
        (status = 400, body = Problem), (status = 401, body = Problem),
    )
)]
pub async fn join_stream(
    State(api): State<Api>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match authenticate::user_if_any(&api, &headers).await {
        Ok(user) => api.inner.streams.join_client(user.as_deref(), &headers, upgrade),
        Err(failure) => failure.into_response(),
    }
}
