use axum::Json;
use c7n_api::{Deployed, Problem, RollBackInstance};

use super::Call;
use crate::api::Failure;
use crate::api::extract::Body;
use crate::deploy::{DeployError, Operation, RollBack, Target};

/// Bring an instance back to what an earlier commit says of it, as a new commit; a revision stands for the commit that it
/// was made from. One that was deleted comes back, too.
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
    let to = match (asked.to, asked.to_revision) {
        (Some(_), Some(_)) => {
            let text = "the instance cannot go back to a commit and to a revision at once; name one of them"
                .to_owned();
            return Err(DeployError::Invalid(text).into());
        }
        (Some(commit), None) => Target::Commit(commit),
        (None, Some(revision)) => Target::Revision(revision),
        (None, None) => Target::LastChange,
    };
    let operation = |instance| Operation::RollBack(RollBack { instance, to });
    call.carry_out(operation, asked.mode).await
}
