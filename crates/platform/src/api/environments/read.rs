use axum::Json;
use axum::extract::State;
use c7n_api::{Environment, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// List the environments of a project.
#[utoipa::path(
    get, path = "/projects/{project}/environments", tag = "environments",
    params(("project" = String, Path, description = "name or id")),
    responses((status = 200, body = Vec<Environment>), (status = 404, body = Problem))
)]
pub async fn list_environments(
    State(api): State<Api>,
    who: SignedIn,
    Named(project): Named<String>,
) -> Result<Json<Vec<Environment>>, Failure> {
    let project = api.project(&who, Verb::See, &project).await?;
    Ok(Json(api.store().environments(&project.id).await?))
}

/// Read an environment: its three commits, its errors, its health.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}", tag = "environments",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id")),
    responses((status = 200, body = Environment), (status = 404, body = Problem))
)]
pub async fn get_environment(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
) -> Result<Json<Environment>, Failure> {
    Ok(Json(
        api.environment(&who, Verb::See, (&project, &environment))
            .await?
            .1,
    ))
}
