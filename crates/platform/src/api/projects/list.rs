use axum::Json;
use axum::extract::State;
use c7n_api::Project;

use crate::api::authenticate::SignedIn;
use crate::api::{Api, Failure};

/// List the projects that one is a member of; administrators see all.
#[utoipa::path(get, path = "/projects", tag = "projects", responses((status = 200, body = Vec<Project>)))]
pub async fn list_projects(State(api): State<Api>, who: SignedIn) -> Result<Json<Vec<Project>>, Failure> {
    Ok(Json(api.store().projects(&who.viewer()).await?))
}
