use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::Problem;

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// Delete an application with its versions.
///
/// What runs goes on running; its chart can no longer be fetched from here, so it can be neither changed nor repaired by it.
#[utoipa::path(
    delete, path = "/projects/{project}/apps/{app}", tag = "apps",
    params(("project" = String, Path, description = "name or id"), ("app" = String, Path, description = "name or id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn delete_app(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, app)): Named<(String, String)>,
) -> Result<StatusCode, Failure> {
    let (project, app) = api.app(&who, Verb::Manage, (&project, &app)).await?;
    let archives = &api.inner.archives;
    // Nobody publishes an archive between the look at its users and its removal.
    let _held = archives.hold().await;
    let mut tx = api.store().write().await?;
    let digests = tx.delete_app(&project.id, &app.id).await?;
    tx.audit(
        &who.name(),
        "delete",
        &format!("app/{}", app.name),
        Some(&project.id),
    )
    .await?;
    tx.commit().await?;
    for digest in digests {
        api.drop_archive(&digest).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
