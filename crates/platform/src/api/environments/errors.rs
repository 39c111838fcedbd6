use axum::Json;
use axum::extract::State;
use c7n_api::{EnvironmentError, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// What is wrong with the files of an environment now, by file and line; at most 1000.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/errors", tag = "environments",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id")),
    responses((status = 200, body = Vec<EnvironmentError>), (status = 404, body = Problem))
)]
pub async fn environment_errors(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
) -> Result<Json<Vec<EnvironmentError>>, Failure> {
    let (_, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    Ok(Json(api.store().environment_errors(&environment.id).await?))
}
