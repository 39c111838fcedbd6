use axum::Json;
use axum::extract::State;
use c7n_api::{Command, CommandState, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// Cancel a command that has no result yet.
///
/// It is settled as cancelled at once; an agent that is at it already may still carry it out.
#[utoipa::path(
    delete, path = "/projects/{project}/environments/{environment}/commands/{id}", tag = "commands",
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("id" = String, Path),
    ),
    responses(
        (status = 200, body = Command), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "it has ended already"),
    )
)]
pub async fn cancel_command(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment, id)): Named<(String, String, String)>,
) -> Result<Json<Command>, Failure> {
    let (project, environment) = api
        .environment(&who, Verb::Command, (&project, &environment))
        .await?;
    let missing = || Failure::not_found("command");
    api.store()
        .command(&environment.id, &id)
        .await?
        .ok_or_else(missing)?;
    let mut tx = api.store().write().await?;
    let message = format!("cancelled by {}", who.caller.username);
    if !tx
        .finish_command(&id, CommandState::Cancelled, Some(&message), None)
        .await?
    {
        return Err(Failure::conflict(
            "the command has ended already",
            "read it to see how",
        ));
    }
    let what = format!("environment/{}/command/{id}", environment.name);
    tx.audit(&who.name(), "cancel", &what, Some(&project.id)).await?;
    tx.commit().await?;
    if let Some(row) = api.store().environment_row(&environment.id).await? {
        api.inner.wake.commands_changed(&row.cluster_id);
    }
    Ok(Json(
        api.store()
            .command(&environment.id, &id)
            .await?
            .ok_or_else(missing)?,
    ))
}
