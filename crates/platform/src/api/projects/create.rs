use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{NewProject, Problem, Project, Role};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Body;
use crate::api::{Api, Failure};
use crate::names;
use crate::store::{new_id, now_ms};

/// Create a project, and become its owner.
#[utoipa::path(
    post, path = "/projects", tag = "projects", request_body = NewProject,
    responses((status = 201, body = Project), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub async fn create_project(
    State(api): State<Api>,
    who: SignedIn,
    Body(new): Body<NewProject>,
) -> Result<(StatusCode, Json<Project>), Failure> {
    api.platform(&who, Verb::See)?;
    names::label("project name", &new.name)?;
    // What is allowed here reaches beyond a namespace, so the owner of a project cannot allow it to themselves.
    if !new.allowed_cluster_kinds.is_empty() {
        api.platform(&who, Verb::Manage)?;
    }
    let project = Project {
        id: new_id(),
        name: new.name,
        allowed_cluster_kinds: new.allowed_cluster_kinds,
        created_ms: now_ms(),
    };
    let mut tx = api.store().write().await?;
    tx.create_project(&project).await?;
    tx.put_member(&project.id, &who.caller.username, Role::Owner)
        .await?;
    tx.audit(
        &who.name(),
        "create",
        &format!("project/{}", project.name),
        Some(&project.id),
    )
    .await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(project)))
}
