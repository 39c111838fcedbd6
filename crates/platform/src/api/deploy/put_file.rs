use axum::Json;
use axum::extract::State;
use c7n_api::{Deployed, Problem, PutFile};

use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::{Api, Failure};
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
pub async fn put_repository_file(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment, path)): Named<(String, String, String)>,
    Body(asked): Body<PutFile>,
) -> Result<Json<Deployed>, Failure> {
    let operation = Operation::PutFile(deploy::PutFile {
        path,
        content: asked.content,
        expected: asked.expected,
        message: asked.message,
    });
    super::carry_out(&api, &who, (&project, &environment), operation, asked.mode).await
}
