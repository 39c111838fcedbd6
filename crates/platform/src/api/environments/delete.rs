use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use c7n_api::{Environment, NamespaceFate, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Asked, Named};
use crate::api::{Api, Failure};
use crate::store::Removal;

#[derive(Deserialize, IntoParams)]
pub struct Fate {
    /// What becomes of the namespace; `keep` unless said otherwise.
    namespace: Option<NamespaceFate>,
}

/// Delete an environment.
///
/// Its agent removes it from the cluster first; the environment is shown as `removing` until then. When no agent has ever
/// connected it is gone at once.
#[utoipa::path(
    delete, path = "/projects/{project}/environments/{environment}", tag = "environments",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"), Fate),
    responses(
        (status = 202, body = Environment, description = "it is being removed"),
        (status = 204, description = "it is gone"),
        (status = 403, body = Problem), (status = 404, body = Problem),
    )
)]
pub async fn delete_environment(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
    Asked(fate): Asked<Fate>,
) -> Result<Response, Failure> {
    let (project, environment) = api
        .environment(&who, Verb::Manage, (&project, &environment))
        .await?;
    let (removal, verb) = match fate.namespace.unwrap_or(NamespaceFate::Keep) {
        NamespaceFate::Keep => (Removal::KeepNamespace, "delete-keeping-namespace"),
        NamespaceFate::Delete => (Removal::DeleteNamespace, "delete-with-namespace"),
    };
    let mut tx = api.store().write().await?;
    // Asked inside of the transaction: an agent's first session would otherwise be missed.
    let never_connected = tx.never_connected(&environment.id).await?;
    if never_connected {
        tx.delete_environment(&environment.id).await?;
    } else {
        tx.ask_removal(&environment.id, removal).await?;
        tx.environment_changed(&environment.id).await?;
    }
    tx.audit(
        &who.name(),
        verb,
        &format!("environment/{}", environment.name),
        Some(&project.id),
    )
    .await?;
    tx.commit().await?;
    api.inner.wake.environment_changed(&environment.id);
    if never_connected {
        api.inner.repositories.remove(&environment.id).await;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    match api.store().environment(&project.id, &environment.id).await? {
        Some(environment) => Ok((StatusCode::ACCEPTED, Json(environment)).into_response()),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}
