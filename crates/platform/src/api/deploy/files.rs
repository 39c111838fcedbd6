use axum::Json;
use axum::extract::State;
use c7n_api::{Problem, RepositoryFile};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// List the files at the head of the environment's branch.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/files", tag = "deploy",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id")),
    responses((status = 200, body = Vec<RepositoryFile>), (status = 404, body = Problem))
)]
pub async fn list_repository_files(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
) -> Result<Json<Vec<RepositoryFile>>, Failure> {
    let (_, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    Ok(Json(api.inner.deployer.files(&environment.id, None).await?))
}

/// Read a file at the head of the environment's branch.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/files/{path}", tag = "deploy",
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("path" = String, Path, description = "with each `/` written as `%2F`"),
    ),
    responses((status = 200, body = RepositoryFile), (status = 404, body = Problem))
)]
pub async fn get_repository_file(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment, path)): Named<(String, String, String)>,
) -> Result<Json<RepositoryFile>, Failure> {
    let (_, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    let found = api.inner.deployer.files(&environment.id, Some(path)).await?;
    let file = found.into_iter().next();
    Ok(Json(file.ok_or_else(|| Failure::not_found("file"))?))
}
