use axum::Json;
use c7n_api::{ChangeInstance, Deployed, Problem};

use super::Call;
use crate::api::Failure;
use crate::api::extract::Body;
use crate::deploy::{Operation, RunState};

/// Stop an instance: its workloads are scaled to nothing, and how large they were is remembered.
#[utoipa::path(
    post, path = "/projects/{project}/environments/{environment}/instances/{instance}/stop", tag = "deploy",
    request_body = ChangeInstance,
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("instance" = String, Path),
    ),
    responses(
        (status = 200, body = Deployed), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem),
    )
)]
pub async fn stop_instance(call: Call, Body(asked): Body<ChangeInstance>) -> Result<Json<Deployed>, Failure> {
    let to = RunState::Stopped;
    let operation = |instance| Operation::SetRunState { instance, to };
    call.carry_out(operation, asked.mode).await
}

/// Start an instance that was stopped, as large as it was.
#[utoipa::path(
    post, path = "/projects/{project}/environments/{environment}/instances/{instance}/start", tag = "deploy",
    request_body = ChangeInstance,
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("instance" = String, Path),
    ),
    responses(
        (status = 200, body = Deployed), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem),
    )
)]
pub async fn start_instance(
    call: Call,
    Body(asked): Body<ChangeInstance>,
) -> Result<Json<Deployed>, Failure> {
    let to = RunState::Started;
    let operation = |instance| Operation::SetRunState { instance, to };
    call.carry_out(operation, asked.mode).await
}
