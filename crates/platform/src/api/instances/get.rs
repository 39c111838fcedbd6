use axum::Json;
use axum::extract::State;
use c7n_api::{InstanceDetail, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};
use crate::instances::detail;

/// One instance with its objects, each below the one that made it.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/instances/{instance}", tag = "instances",
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("instance" = String, Path, description = "name"),
    ),
    responses((status = 200, body = InstanceDetail), (status = 404, body = Problem))
)]
pub async fn get_instance(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment, instance)): Named<(String, String, String)>,
) -> Result<Json<InstanceDetail>, Failure> {
    let (project, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    let objects = api.store().all_objects(&environment.id).await?;
    let apps = api.store().app_charts(&project.id).await?;
    let found = detail(&objects, &instance, &apps);
    Ok(Json(found.ok_or_else(|| Failure::not_found("instance"))?))
}
