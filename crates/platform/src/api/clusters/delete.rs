use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use c7n_api::{Forgotten, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Asked, Named};
use crate::api::{Api, Failure};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Fate {
    /// With all its environments, for a cluster that will not come back: the platform's side is deleted at once, and what is
    /// in the cluster stays as it is. Refused while the agent is connected.
    forget: Option<bool>,
}

/// Delete a cluster that has no environments. Its agent can no longer connect.
#[utoipa::path(
    delete, path = "/projects/{project}/clusters/{cluster}", tag = "clusters",
    params(("project" = String, Path, description = "name or id"), ("cluster" = String, Path, description = "name or id"), Fate),
    responses(
        (status = 200, body = Forgotten, description = "it is forgotten with its environments; this stays in the cluster"),
        (status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    )
)]
pub async fn delete_cluster(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, cluster)): Named<(String, String)>,
    Asked(fate): Asked<Fate>,
) -> Result<Response, Failure> {
    let (project, cluster) = api.cluster(&who, Verb::Manage, (&project, &cluster)).await?;
    let forget = fate.forget == Some(true);
    let mut tx = api.store().write().await?;
    let environments = tx.left_behind(&cluster.id).await?;
    if forget && tx.is_connected(&cluster.id).await? {
        return Err(Failure::conflict(
            "the agent of this cluster is connected",
            "delete its environments, so that the agent removes them, and then the cluster without `forget`",
        ));
    }
    if !forget && !environments.is_empty() {
        return Err(Failure::conflict(
            format!("the cluster still has {} environments", environments.len()),
            "delete its environments first; if the cluster will not come back, forget it with them: \
             `c7n cluster delete --forget`",
        ));
    }
    for (id, left) in &environments {
        tx.delete_environment(id).await?;
        let resource = format!("environment/{}", left.environment);
        tx.audit(&who.name(), "forget", &resource, Some(&project.id))
            .await?;
    }
    tx.delete_cluster(&cluster.id).await?;
    let verb = if forget { "forget" } else { "delete" };
    let resource = format!("cluster/{}", cluster.name);
    tx.audit(&who.name(), verb, &resource, Some(&project.id)).await?;
    tx.commit().await?;
    api.inner.wake.cluster_deleted(&cluster.id);
    for (id, _) in &environments {
        api.inner.repositories.remove(id).await;
    }
    if !forget {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let left = environments.into_iter().map(|(_, left)| left);
    Ok(Json(Forgotten::of(left)).into_response())
}
