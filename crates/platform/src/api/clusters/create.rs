use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{Cluster, NewCluster, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::{Api, Failure};
use crate::names;
use crate::store::new_id;

/// Create the record of a cluster. To join the cluster itself, ask for its activation next.
#[utoipa::path(
    post, path = "/projects/{project}/clusters", tag = "clusters", request_body = NewCluster,
    params(("project" = String, Path, description = "name or id")),
    responses(
        (status = 201, body = Cluster), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem),
    )
)]
pub async fn create_cluster(
    State(api): State<Api>,
    who: SignedIn,
    Named(project): Named<String>,
    Body(new): Body<NewCluster>,
) -> Result<(StatusCode, Json<Cluster>), Failure> {
    let project = api.project(&who, Verb::Manage, &project).await?;
    names::label("cluster name", &new.name)?;
    let id = new_id();
    let mut tx = api.store().write().await?;
    tx.create_cluster(&id, &project.id, &new.name).await?;
    tx.cluster_changed(&id).await?;
    tx.audit(
        &who.name(),
        "create",
        &format!("cluster/{}", new.name),
        Some(&project.id),
    )
    .await?;
    tx.commit().await?;
    let made = api
        .store()
        .cluster(&project.id, &id)
        .await?
        .ok_or_else(|| Failure::not_found("cluster"))?;
    Ok((StatusCode::CREATED, Json(made)))
}
