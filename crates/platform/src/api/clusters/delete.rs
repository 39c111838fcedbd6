use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::Problem;

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// Delete a cluster that has no environments. Its agent can no longer connect.
#[utoipa::path(
    delete, path = "/projects/{project}/clusters/{cluster}", tag = "clusters",
    params(("project" = String, Path, description = "name or id"), ("cluster" = String, Path, description = "name or id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn delete_cluster(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, cluster)): Named<(String, String)>,
) -> Result<StatusCode, Failure> {
    let (project, cluster) = api.cluster(&who, Verb::Manage, (&project, &cluster)).await?;
    let mut tx = api.store().write().await?;
    let environments = tx.cluster_environments(&cluster.id).await?;
    if environments > 0 {
        return Err(Failure::conflict(
            format!("the cluster still has {environments} environments"),
            "delete its environments first",
        ));
    }
    tx.delete_cluster(&cluster.id).await?;
    tx.audit(
        &who.name(),
        "delete",
        &format!("cluster/{}", cluster.name),
        Some(&project.id),
    )
    .await?;
    tx.commit().await?;
    api.inner.wake.cluster_deleted(&cluster.id);
    Ok(StatusCode::NO_CONTENT)
}
