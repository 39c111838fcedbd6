use axum::Json;
use axum::extract::State;
use c7n_api::{Problem, Project};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// Read a project, by name or id.
#[utoipa::path(
    get, path = "/projects/{project}", tag = "projects", params(("project" = String, Path, description = "name or id")),
    responses((status = 200, body = Project), (status = 404, body = Problem))
)]
pub async fn get_project(
    State(api): State<Api>,
    who: SignedIn,
    Named(project): Named<String>,
) -> Result<Json<Project>, Failure> {
    Ok(Json(api.project(&who, Verb::See, &project).await?))
}
