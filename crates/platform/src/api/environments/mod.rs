//! Environments: made, read, removed; and what was pushed to them.

mod confirm_deletions;
mod create;
mod delete;
mod drift;
mod errors;
mod history;
mod objects;
mod read;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(read::list_environments, create::create_environment))
        .routes(routes!(read::get_environment, delete::delete_environment))
        .routes(routes!(history::environment_history))
        .routes(routes!(errors::environment_errors))
        .routes(routes!(objects::environment_objects))
        .routes(routes!(drift::environment_drift))
        .routes(routes!(confirm_deletions::confirm_deletions))
}
