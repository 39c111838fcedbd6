//! Who belongs to a project, and with which role.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{Member, NewRole, Problem, Role};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::authenticate::SignedIn;
use super::extract::{Body, Named};
use super::{Api, Failure};
use crate::access::Verb;
use crate::store::{Tx, word};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_members))
        .routes(routes!(put_member, remove_member))
}

/// List the members of a project.
#[utoipa::path(
    get, path = "/projects/{project}/members", tag = "projects", params(("project" = String, Path, description = "name or id")),
    responses((status = 200, body = Vec<Member>), (status = 404, body = Problem))
)]
async fn list_members(
    State(api): State<Api>,
    who: SignedIn,
    Named(project): Named<String>,
) -> Result<Json<Vec<Member>>, Failure> {
    let project = api.project(&who, Verb::See, &project).await?;
    Ok(Json(api.store().members(&project.id).await?))
}

/// Give somebody a role in a project, in place of the one they had.
#[utoipa::path(
    put, path = "/projects/{project}/members/{username}", tag = "projects", request_body = NewRole,
    params(("project" = String, Path, description = "name or id"), ("username" = String, Path)),
    responses(
        (status = 200, body = Member), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "the project would be left without an owner"),
    )
)]
async fn put_member(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, username)): Named<(String, String)>,
    Body(new): Body<NewRole>,
) -> Result<Json<Member>, Failure> {
    let project = api.project(&who, Verb::Manage, &project).await?;
    let mut tx = api.store().write().await?;
    let owners = tx.owners(&project.id).await?;
    if !tx.put_member(&project.id, &username, new.role).await? {
        return Err(Failure::not_found("user"));
    }
    keep_an_owner(&mut tx, &project.id, owners).await?;
    let what = format!("member/{username}/{}", word(new.role));
    tx.audit(&who.name(), "put", &what, Some(&project.id)).await?;
    tx.commit().await?;
    Ok(Json(Member {
        username,
        role: new.role,
    }))
}

/// Take somebody out of a project.
#[utoipa::path(
    delete, path = "/projects/{project}/members/{username}", tag = "projects",
    params(("project" = String, Path, description = "name or id"), ("username" = String, Path)),
    responses(
        (status = 204), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "the project would be left without an owner"),
    )
)]
async fn remove_member(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, username)): Named<(String, String)>,
) -> Result<StatusCode, Failure> {
    let project = api.project(&who, Verb::Manage, &project).await?;
    let mut tx = api.store().write().await?;
    let owners = tx.owners(&project.id).await?;
    if !tx.remove_member(&project.id, &username).await? {
        return Err(Failure::not_found("member"));
    }
    keep_an_owner(&mut tx, &project.id, owners).await?;
    tx.audit(
        &who.name(),
        "delete",
        &format!("member/{username}"),
        Some(&project.id),
    )
    .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `before` is how many owners there were; the transaction is given up when the last one would go.
async fn keep_an_owner(tx: &mut Tx, project: &str, before: i64) -> Result<(), Failure> {
    if before > 0 && tx.owners(project).await? == 0 {
        let next = format!("give somebody else the role {} first", word(Role::Owner));
        return Err(Failure::conflict(
            "the project would be left without an owner",
            next,
        ));
    }
    Ok(())
}
