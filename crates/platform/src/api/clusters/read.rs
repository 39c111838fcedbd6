use axum::Json;
use axum::extract::State;
use c7n_api::{Cluster, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// List the clusters of a project.
#[utoipa::path(
    get, path = "/projects/{project}/clusters", tag = "clusters",
    params(("project" = String, Path, description = "name or id")),
    responses((status = 200, body = Vec<Cluster>), (status = 404, body = Problem))
)]
pub async fn list_clusters(
    State(api): State<Api>,
    who: SignedIn,
    Named(project): Named<String>,
) -> Result<Json<Vec<Cluster>>, Failure> {
    let project = api.project(&who, Verb::See, &project).await?;
    Ok(Json(api.store().clusters(&project.id).await?))
}

/// Read a cluster.
#[utoipa::path(
    get, path = "/projects/{project}/clusters/{cluster}", tag = "clusters",
    params(("project" = String, Path, description = "name or id"), ("cluster" = String, Path, description = "name or id")),
    responses((status = 200, body = Cluster), (status = 404, body = Problem))
)]
pub async fn get_cluster(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, cluster)): Named<(String, String)>,
) -> Result<Json<Cluster>, Failure> {
    Ok(Json(api.cluster(&who, Verb::See, (&project, &cluster)).await?.1))
}
