//! Instances: the Helm releases of an environment, with what they made.

mod get;
mod list;
mod tree;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list::list_instances))
        .routes(routes!(get::get_instance))
        .routes(routes!(tree::object_tree))
}
