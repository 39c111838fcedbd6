use axum::Json;
use axum::extract::State;
use c7n_api::{Command, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// Read a command and its result.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/commands/{id}", tag = "commands",
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("id" = String, Path),
    ),
    responses((status = 200, body = Command), (status = 404, body = Problem))
)]
pub async fn get_command(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment, id)): Named<(String, String, String)>,
) -> Result<Json<Command>, Failure> {
    let (_, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    let command = api.store().command(&environment.id, &id).await?;
    Ok(Json(command.ok_or_else(|| Failure::not_found("command"))?))
}
