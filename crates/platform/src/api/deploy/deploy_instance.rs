use axum::Json;
use c7n_api::{DeployInstance, Deployed, Problem};

use super::Call;
use crate::api::Failure;
use crate::api::extract::Body;
use crate::deploy::{Deploy, Operation};

/// Deploy a chart as an instance.
///
/// The values are checked against the chart's schema first. The answer comes when the commit is made; the agent delivers it
/// like every other.
#[utoipa::path(
    post, path = "/projects/{project}/environments/{environment}/instances", tag = "deploy", request_body = DeployInstance,
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id")),
    responses(
        (status = 200, body = Deployed), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem),
        (status = 502, body = Problem, description = "the chart's repository does not give it"),
    )
)]
pub async fn deploy_instance(
    call: Call<()>,
    Body(asked): Body<DeployInstance>,
) -> Result<Json<Deployed>, Failure> {
    let operation = |()| {
        Operation::Deploy(Deploy {
            instance: asked.name,
            chart: asked.chart,
            repo_secret: asked.repo_secret,
            values: asked.values,
        })
    };
    call.carry_out(operation, asked.mode).await
}
