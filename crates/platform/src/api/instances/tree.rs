use axum::Json;
use axum::extract::State;
use c7n_api::{ObjectTree, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};
use crate::instances::tree;

/// All live objects of an environment by instance, each below the one that made it; without the events of Kubernetes.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/tree", tag = "instances",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id")),
    responses((status = 200, body = ObjectTree), (status = 404, body = Problem))
)]
pub async fn object_tree(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
) -> Result<Json<ObjectTree>, Failure> {
    let (project, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    let apps = api.store().app_charts(&project.id).await?;
    Ok(Json(tree(
        &api.store().all_objects(&environment.id).await?,
        &apps,
    )))
}
