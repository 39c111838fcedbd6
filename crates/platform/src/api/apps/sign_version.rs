use axum::Json;
use axum::extract::State;
use c7n_api::{AppVersion, Problem};
use c7n_charts::{Digest, check_provenance};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// Keep the provenance file of a published version, as `helm package --sign` makes it beside the archive.
///
/// It is served as `ARCHIVE.prov`, for `helm pull --verify` and for agents whose release asks for it. It must be of this archive;
/// whether its signature holds is judged by those who have the keys. A newer one takes its place.
#[utoipa::path(
    put, path = "/projects/{project}/apps/{app}/versions/{version}/provenance", tag = "apps",
    request_body(content = String, content_type = "text/plain"),
    params(
        ("project" = String, Path, description = "name or id"), ("app" = String, Path, description = "name or id"),
        ("version" = String, Path, description = "exactly as it is listed"),
    ),
    responses(
        (status = 200, body = AppVersion), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 413, body = Problem), (status = 422, body = Problem, description = "it is not of this archive"),
    )
)]
pub async fn sign_app_version(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, app, version)): Named<(String, String, String)>,
    body: Result<String, axum::extract::rejection::StringRejection>,
) -> Result<Json<AppVersion>, Failure> {
    let (project, app) = api.app(&who, Verb::Push, (&project, &app)).await?;
    let provenance = body.map_err(|rejection| {
        Failure::new(
            rejection.status(),
            "unreadable",
            "the provenance file is no text of at most 1 MiB, or did not come whole",
            "send what `helm package --sign` has made",
        )
    })?;
    let mut tx = api.store().write().await?;
    let digest = tx.published_digest(&app.id, &version).await?;
    let digest = digest.ok_or_else(|| Failure::not_found("version"))?;
    let digest: Digest = digest.parse().map_err(|error| Failure::internal(&error))?;
    let file = format!("{}-{version}.tgz", app.name);
    check_provenance(&provenance, &file, &digest).map_err(|error| {
        Failure::invalid(
            format!("the provenance file does not fit: {error}"),
            "nothing was kept",
        )
    })?;
    tx.sign_version(&app.id, &version, &provenance).await?;
    let what = format!("app/{}@{version}", app.name);
    tx.audit(&who.name(), "sign", &what, Some(&project.id)).await?;
    tx.commit().await?;
    let made = api.store().app_version(&app.id, &version).await?;
    Ok(Json(made.ok_or_else(|| Failure::not_found("version"))?.version))
}
