use axum::Json;
use axum::extract::State;
use c7n_api::{Instances, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};
use crate::instances::fold;

/// The instances of an environment with their health and its cause, and how the environment's own objects are doing.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/instances", tag = "instances",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id")),
    responses((status = 200, body = Instances), (status = 404, body = Problem))
)]
pub async fn list_instances(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
) -> Result<Json<Instances>, Failure> {
    let (project, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    let apps = api.store().app_charts(&project.id).await?;
    Ok(Json(fold(
        &api.store().all_objects(&environment.id).await?,
        &apps,
    )))
}
