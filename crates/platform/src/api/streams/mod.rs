//! Logs, exec and port-forward: opened here, joined by a WebSocket, looked up afterwards; and who may.

mod download;
mod join;
mod list;
mod open;
mod recording;
mod rights;
mod settings;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;

/// Needs no token: the ticket is the right.
pub(super) fn open_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(join::join_stream))
        .layer(axum::middleware::from_fn(crate::streams::close_unless_joined))
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list::list_streams, open::open_stream))
        .routes(routes!(recording::stream_recording))
        .routes(routes!(download::download_log))
        .routes(routes!(rights::list_stream_rights))
        .routes(routes!(
            rights::get_stream_rights,
            rights::put_stream_rights,
            rights::delete_stream_rights
        ))
        .routes(routes!(
            settings::get_stream_settings,
            settings::put_stream_settings
        ))
}
