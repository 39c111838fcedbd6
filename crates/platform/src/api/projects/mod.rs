//! Projects.

mod create;
mod delete;
mod get;
mod list;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list::list_projects, create::create_project))
        .routes(routes!(get::get_project, delete::delete_project))
}
