use axum::Json;
use c7n_api::{Deployed, Mode, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Call;
use crate::api::Failure;
use crate::api::extract::Asked;
use crate::deploy::{self, Operation};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Blob id of the content that is removed.
    expected: String,
    /// `dry-run` only tells what would be.
    mode: Option<Mode>,
}

/// Remove a file, as a commit. The objects that it describes are deleted.
#[utoipa::path(
    delete, path = "/projects/{project}/environments/{environment}/files/{path}", tag = "deploy",
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("path" = String, Path, description = "with each `/` written as `%2F`"), Which,
    ),
    responses(
        (status = 200, body = Deployed), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "the file is another than `expected`"), (status = 422, body = Problem),
    )
)]
pub async fn remove_repository_file(
    call: Call,
    Asked(which): Asked<Which>,
) -> Result<Json<Deployed>, Failure> {
    let operation = |path| {
        Operation::RemoveFile(deploy::RemoveFile {
            path,
            expected: which.expected,
        })
    };
    call.carry_out(operation, which.mode.unwrap_or_default()).await
}
