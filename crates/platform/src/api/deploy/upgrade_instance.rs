use axum::Json;
use c7n_api::{Deployed, Problem, UpgradeInstance};

use super::Call;
use crate::api::Failure;
use crate::api::extract::Body;
use crate::deploy::{Operation, Upgrade};

/// Move an instance to another version of its chart.
///
/// Its values are merged three ways: the old defaults, the new ones, its own. What cannot be decided is listed in
/// `conflicts`, and nothing is written until somebody does.
#[utoipa::path(
    post, path = "/projects/{project}/environments/{environment}/instances/{instance}/upgrade", tag = "deploy",
    request_body = UpgradeInstance,
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("instance" = String, Path),
    ),
    responses(
        (status = 200, body = Deployed), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem),
        (status = 502, body = Problem, description = "the chart's repository does not give it"),
    )
)]
pub async fn upgrade_instance(
    call: Call,
    Body(asked): Body<UpgradeInstance>,
) -> Result<Json<Deployed>, Failure> {
    let operation = |instance| {
        Operation::Upgrade(Upgrade {
            instance,
            chart: asked.chart,
            values: asked.values,
            conflicts: asked.conflicts,
        })
    };
    call.carry_out(operation, asked.mode).await
}
