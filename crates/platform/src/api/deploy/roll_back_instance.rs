use axum::Json;
use c7n_api::{Deployed, Problem, RollBackInstance};

use super::Call;
use crate::api::Failure;
use crate::api::extract::Body;
use crate::deploy::{Operation, RollBack};

/// Bring an instance back to what an earlier commit says of it, as a new commit. One that was deleted comes back, too.
#[utoipa::path(
    post, path = "/projects/{project}/environments/{environment}/instances/{instance}/rollback", tag = "deploy",
    request_body = RollBackInstance,
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("instance" = String, Path),
    ),
    responses(
        (status = 200, body = Deployed), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem),
    )
)]
pub async fn roll_back_instance(
    call: Call,
    Body(asked): Body<RollBackInstance>,
) -> Result<Json<Deployed>, Failure> {
    let operation = |instance| {
        Operation::RollBack(RollBack {
            instance,
            to: asked.to,
        })
    };
    call.carry_out(operation, asked.mode).await
}
