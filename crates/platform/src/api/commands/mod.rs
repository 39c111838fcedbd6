//! Commands: stored first, then sent; each ends in exactly one result.

mod cancel;
mod create;
mod get;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(create::create_command))
        .routes(routes!(get::get_command, cancel::cancel_command))
}
