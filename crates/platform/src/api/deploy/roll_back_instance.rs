use axum::Json;
use axum::extract::State;
use c7n_api::{Deployed, Problem, RollBackInstance};

use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::{Api, Failure};
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
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment, instance)): Named<(String, String, String)>,
    Body(asked): Body<RollBackInstance>,
) -> Result<Json<Deployed>, Failure> {
    let operation = Operation::RollBack(RollBack {
        instance,
        to: asked.to,
    });
    super::carry_out(&api, &who, (&project, &environment), operation, asked.mode).await
}
