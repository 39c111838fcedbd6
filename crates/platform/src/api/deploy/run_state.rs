use axum::Json;
use axum::extract::State;
use c7n_api::{ChangeInstance, Deployed, Problem};

use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::{Api, Failure};
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
pub async fn stop_instance(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment, instance)): Named<(String, String, String)>,
    Body(asked): Body<ChangeInstance>,
) -> Result<Json<Deployed>, Failure> {
    let to = RunState::Stopped;
    let operation = Operation::SetRunState { instance, to };
    super::carry_out(&api, &who, (&project, &environment), operation, asked.mode).await
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
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment, instance)): Named<(String, String, String)>,
    Body(asked): Body<ChangeInstance>,
) -> Result<Json<Deployed>, Failure> {
    let to = RunState::Started;
    let operation = Operation::SetRunState { instance, to };
    super::carry_out(&api, &who, (&project, &environment), operation, asked.mode).await
}
