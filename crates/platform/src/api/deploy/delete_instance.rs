use axum::Json;
use c7n_api::{Deployed, Mode, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Call;
use crate::api::Failure;
use crate::api::extract::Asked;
use crate::deploy::Operation;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct How {
    /// `dry-run` only tells what would be.
    mode: Option<Mode>,
}

/// Delete an instance: what describes it is taken out of the repository, and the agent uninstalls it.
#[utoipa::path(
    delete, path = "/projects/{project}/environments/{environment}/instances/{instance}", tag = "deploy",
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("instance" = String, Path), How,
    ),
    responses(
        (status = 200, body = Deployed), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem),
    )
)]
pub async fn delete_instance(call: Call, Asked(how): Asked<How>) -> Result<Json<Deployed>, Failure> {
    call.carry_out(
        |instance| Operation::Delete { instance },
        how.mode.unwrap_or_default(),
    )
    .await
}
