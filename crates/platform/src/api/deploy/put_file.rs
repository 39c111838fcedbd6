use axum::Json;
use c7n_api::{Deployed, Problem, PutFile};

use super::Call;
use crate::api::Failure;
use crate::api::extract::Body;
use crate::deploy::{self, Operation};

/// Write a file, as a commit. A manifest that the environment could not take is refused by file and line.
#[utoipa::path(
    put, path = "/projects/{project}/environments/{environment}/files/{path}", tag = "deploy", request_body = PutFile,
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("path" = String, Path, description = "with each `/` written as `%2F`"),
    ),
    responses(
        (status = 200, body = Deployed), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "the file is another than `expected`"), (status = 422, body = Problem),
    )
)]
pub async fn put_repository_file(call: Call, Body(asked): Body<PutFile>) -> Result<Json<Deployed>, Failure> {
    let operation = |path| {
        Operation::PutFile(deploy::PutFile {
            path,
            content: asked.content,
            expected: asked.expected,
            message: asked.message,
        })
    };
    call.carry_out(operation, asked.mode).await
}
