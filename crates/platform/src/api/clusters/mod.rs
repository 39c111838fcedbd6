//! Clusters, and how they are joined.

mod activate;
mod create;
mod delete;
mod read;
mod upgrade;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(read::list_clusters, create::create_cluster))
        .routes(routes!(read::get_cluster, delete::delete_cluster))
        .routes(routes!(activate::activate_cluster))
        .routes(routes!(upgrade::upgrade_agent, upgrade::get_upgrade))
}
