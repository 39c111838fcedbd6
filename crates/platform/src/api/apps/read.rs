use axum::Json;
use axum::extract::State;
use c7n_api::{App, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// List the applications of a project.
#[utoipa::path(
    get, path = "/projects/{project}/apps", tag = "apps",
    params(("project" = String, Path, description = "name or id")),
    responses((status = 200, body = Vec<App>), (status = 404, body = Problem))
)]
pub async fn list_apps(
    State(api): State<Api>,
    who: SignedIn,
    Named(project): Named<String>,
) -> Result<Json<Vec<App>>, Failure> {
    let project = api.project(&who, Verb::See, &project).await?;
    Ok(Json(api.store().apps(&project.id).await?))
}

/// Read an application.
#[utoipa::path(
    get, path = "/projects/{project}/apps/{app}", tag = "apps",
    params(("project" = String, Path, description = "name or id"), ("app" = String, Path, description = "name or id")),
    responses((status = 200, body = App), (status = 404, body = Problem))
)]
pub async fn get_app(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, app)): Named<(String, String)>,
) -> Result<Json<App>, Failure> {
    Ok(Json(api.app(&who, Verb::See, (&project, &app)).await?.1))
}
