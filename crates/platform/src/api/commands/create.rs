use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{Command, CommandState, EnvironmentPhase, NewCommand, ObjectRef, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::{Api, Failure};
use crate::store::{new_id, now_ms};

/// A command that has no result by then is settled as expired.
const DEADLINE_MS: i64 = 5 * 60 * 1000;
const PENDING: i64 = 100;

/// Give a command to the agent. The answer comes when it is stored; read it until its state is final.
#[utoipa::path(
    post, path = "/projects/{project}/environments/{environment}/commands", tag = "commands", request_body = NewCommand,
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id")),
    responses(
        (status = 201, body = Command), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem),
        (status = 429, body = Problem, description = "too many commands wait already"),
    )
)]
pub async fn create_command(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
    Body(command): Body<NewCommand>,
) -> Result<(StatusCode, Json<Command>), Failure> {
    let (project, environment) = api
        .environment(&who, verb(&command), (&project, &environment))
        .await?;
    check(&command)?;
    if environment.phase == EnvironmentPhase::Removing {
        return Err(Failure::conflict(
            "the environment is being removed",
            "give commands to another",
        ));
    }
    let row = api.store().environment_row(&environment.id).await?;
    let row = row.ok_or_else(|| Failure::not_found("environment"))?;
    let now = now_ms();
    let command = Command {
        id: new_id(),
        environment: environment.id.clone(),
        command,
        state: CommandState::Pending,
        message: None,
        result: None,
        created_by: who.caller.username.clone(),
        created_ms: now,
        deadline_ms: now + DEADLINE_MS,
        finished_ms: None,
    };
    let mut tx = api.store().write().await?;
    if tx.pending_commands(&environment.id).await? >= PENDING {
        let title = format!("{PENDING} commands of this environment wait for an answer already");
        let next = "wait until some have ended, or cancel them";
        return Err(
            Failure::new(StatusCode::TOO_MANY_REQUESTS, "too-many-commands", title, next).retry_after(10),
        );
    }
    tx.create_command(&row.cluster_id, &command).await?;
    let what = format!("environment/{}/command/{}", environment.name, command.id);
    tx.audit(&who.name(), "command", &what, Some(&project.id)).await?;
    tx.commit().await?;
    api.inner.wake.commands_changed(&row.cluster_id);
    Ok((StatusCode::CREATED, Json(command)))
}

/// To look is a viewer's right; everything else changes something.
fn verb(command: &NewCommand) -> Verb {
    match command {
        NewCommand::GetObject { .. } => Verb::See,
        NewCommand::Sync
        | NewCommand::Restart { .. }
        | NewCommand::Scale { .. }
        | NewCommand::DeleteObject { .. }
        | NewCommand::CancelRelease { .. }
        | NewCommand::RetryRelease { .. }
        | NewCommand::TestRelease { .. } => Verb::Command,
    }
}

fn check(command: &NewCommand) -> Result<(), Failure> {
    let object = match command {
        NewCommand::Sync => return Ok(()),
        NewCommand::Restart { object }
        | NewCommand::Scale { object, .. }
        | NewCommand::DeleteObject { object }
        | NewCommand::GetObject { object }
        | NewCommand::CancelRelease { object }
        | NewCommand::RetryRelease { object }
        | NewCommand::TestRelease { object } => object,
    };
    let ObjectRef { group, kind, name } = object;
    // Kubernetes' own limits; what is in these fields ends up in paths of the API server.
    let group_fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let fits = group.len() <= 253
        && group.chars().all(group_fits)
        && (1..=63).contains(&kind.len())
        && kind.chars().all(|c| c.is_ascii_alphanumeric())
        && (1..=253).contains(&name.len())
        && !matches!(name.as_str(), "." | "..")
        && !name.contains(['/', '%'])
        && !name.chars().any(char::is_control);
    if fits {
        return Ok(());
    }
    Err(Failure::invalid(
        "this names no object",
        "give group, kind and name as the list of objects shows them",
    ))
}
