use axum::Json;
use axum::extract::State;
use c7n_api::{AppVersion, AppVersionDetails, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// List the versions of an application, newest first.
#[utoipa::path(
    get, path = "/projects/{project}/apps/{app}/versions", tag = "apps",
    params(("project" = String, Path, description = "name or id"), ("app" = String, Path, description = "name or id")),
    responses(
        (status = 200, body = Vec<AppVersion>), (status = 404, body = Problem),
        (status = 502, body = Problem, description = "the repository that the versions come from does not answer"),
    )
)]
pub async fn list_app_versions(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, app)): Named<(String, String)>,
) -> Result<Json<Vec<AppVersion>>, Failure> {
    let (_, app) = api.app(&who, Verb::See, (&project, &app)).await?;
    Ok(Json(api.inner.chart_facts.versions(&app).await?))
}

/// Read a version: its default values, its schema, its README.
#[utoipa::path(
    get, path = "/projects/{project}/apps/{app}/versions/{version}", tag = "apps",
    params(
        ("project" = String, Path, description = "name or id"), ("app" = String, Path, description = "name or id"),
        ("version" = String, Path, description = "exactly as it is listed"),
    ),
    responses(
        (status = 200, body = AppVersionDetails), (status = 404, body = Problem),
        (status = 502, body = Problem, description = "the repository that the versions come from does not answer"),
    )
)]
pub async fn get_app_version(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, app, version)): Named<(String, String, String)>,
) -> Result<Json<AppVersionDetails>, Failure> {
    let (_, app) = api.app(&who, Verb::See, (&project, &app)).await?;
    let found = api.inner.chart_facts.version(&app, &version).await?;
    Ok(Json(found.ok_or_else(|| Failure::not_found("version"))?))
}
