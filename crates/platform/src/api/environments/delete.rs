use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use c7n_api::{Environment, Forgotten, NamespaceFate, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Asked, Named};
use crate::api::{Api, Failure};
use crate::store::{Removal, Tx};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Fate {
    /// What becomes of the namespace; `keep` unless said otherwise.
    namespace: Option<NamespaceFate>,
    /// Without the agent, for a cluster that will not come back: the platform's side is deleted at once, and what is in the
    /// cluster stays as it is. Refused while the agent is connected.
    forget: Option<bool>,
}

/// Delete an environment.
///
/// Its agent removes it from the cluster first; the environment is shown as `removing` until then. When no agent has ever
/// connected it is gone at once.
#[utoipa::path(
    delete, path = "/projects/{project}/environments/{environment}", tag = "environments",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"), Fate),
    responses(
        (status = 200, body = Forgotten, description = "it is forgotten; this stays in the cluster"),
        (status = 202, body = Environment, description = "it is being removed"),
        (status = 204, description = "it is gone"),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
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
    let resource = format!("environment/{}", environment.name);
    let mut tx = api.store().write().await?;
    // Asked inside of the transaction: an agent's first session would otherwise be missed.
    let end = if fate.forget == Some(true) {
        let forgotten = forget(&api, &mut tx, &environment).await?;
        tx.audit(&who.name(), "forget", &resource, Some(&project.id))
            .await?;
        End::Forgotten(forgotten)
    } else if tx.never_connected(&environment.id).await? {
        tx.delete_environment(&environment.id).await?;
        tx.audit(&who.name(), "delete", &resource, Some(&project.id))
            .await?;
        End::Gone
    } else {
        let (removal, verb) = match fate.namespace.unwrap_or(NamespaceFate::Keep) {
            NamespaceFate::Keep => (Removal::KeepNamespace, "delete-keeping-namespace"),
            NamespaceFate::Delete => (Removal::DeleteNamespace, "delete-with-namespace"),
        };
        tx.ask_removal(&environment.id, removal).await?;
        tx.environment_changed(&environment.id).await?;
        tx.audit(&who.name(), verb, &resource, Some(&project.id)).await?;
        End::Asked
    };
    tx.commit().await?;
    api.inner.wake.environment_changed(&environment.id);
    if !matches!(end, End::Asked) {
        api.inner.repositories.remove(&environment.id).await;
    }
    Ok(match end {
        End::Gone => StatusCode::NO_CONTENT.into_response(),
        End::Forgotten(forgotten) => Json(forgotten).into_response(),
        End::Asked => match api.store().environment(&project.id, &environment.id).await? {
            Some(environment) => (StatusCode::ACCEPTED, Json(environment)).into_response(),
            None => StatusCode::NO_CONTENT.into_response(),
        },
    })
}

enum End {
    Gone,
    Forgotten(Forgotten),
    /// The agent removes it.
    Asked,
}

/// Deletes the platform's side alone.
async fn forget(api: &Api, tx: &mut Tx, environment: &Environment) -> Result<Forgotten, Failure> {
    let row = api.store().environment_row(&environment.id).await?;
    let row = row.ok_or_else(|| Failure::not_found("environment"))?;
    if tx.is_connected(&row.cluster_id).await? {
        return Err(Failure::conflict(
            format!("the agent of the cluster {} is connected", environment.cluster),
            "delete the environment without `forget`, so that the agent removes it from the cluster",
        ));
    }
    let all = tx.left_behind(&row.cluster_id).await?;
    tx.delete_environment(&environment.id).await?;
    let own = all.into_iter().filter(|(id, _)| *id == environment.id);
    Ok(Forgotten::of(own.map(|(_, left)| left)))
}
