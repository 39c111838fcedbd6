use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::Problem;

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// Delete a project that has neither clusters nor environments.
#[utoipa::path(
    delete, path = "/projects/{project}", tag = "projects", params(("project" = String, Path, description = "name or id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn delete_project(
    State(api): State<Api>,
    who: SignedIn,
    Named(project): Named<String>,
) -> Result<StatusCode, Failure> {
    let project = api.project(&who, Verb::Manage, &project).await?;
    let mut tx = api.store().write().await?;
    let (clusters, environments) = tx.project_contents(&project.id).await?;
    if clusters + environments > 0 {
        return Err(Failure::conflict(
            format!("the project still has {clusters} clusters and {environments} environments"),
            "delete its environments, then its clusters, then the project",
        ));
    }
    tx.delete_project(&project.id).await?;
    tx.audit(
        &who.name(),
        "delete",
        &format!("project/{}", project.name),
        Some(&project.id),
    )
    .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
