//! What single users may do in one environment, beside their role.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{Problem, StreamRights, UserStreamRights};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::{Api, Failure};

/// List who has rights of their own to logs and exec in an environment.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/rights", tag = "streams",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id")),
    responses((status = 200, body = Vec<UserStreamRights>), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn list_stream_rights(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
) -> Result<Json<Vec<UserStreamRights>>, Failure> {
    let (_, environment) = api
        .environment(&who, Verb::Manage, (&project, &environment))
        .await?;
    Ok(Json(api.store().stream_rights(&environment.id).await?))
}

/// Read what a user has of their own in an environment.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/rights/{username}", tag = "streams",
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("username" = String, Path),
    ),
    responses((status = 200, body = UserStreamRights), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn get_stream_rights(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment, username)): Named<(String, String, String)>,
) -> Result<Json<UserStreamRights>, Failure> {
    let (_, environment) = api
        .environment(&who, Verb::Manage, (&project, &environment))
        .await?;
    let all = api.store().stream_rights(&environment.id).await?;
    let own = all.into_iter().find(|rights| rights.username == username);
    Ok(Json(own.ok_or_else(|| Failure::not_found("right of this user"))?))
}

/// Give a member rights to logs and exec in an environment, or take them. `null` leaves one to their role.
///
/// What goes on without the right is cut within half a minute.
#[utoipa::path(
    put, path = "/projects/{project}/environments/{environment}/rights/{username}", tag = "streams", request_body = StreamRights,
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("username" = String, Path),
    ),
    responses((status = 200, body = UserStreamRights), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn put_stream_rights(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment, username)): Named<(String, String, String)>,
    Body(rights): Body<StreamRights>,
) -> Result<Json<UserStreamRights>, Failure> {
    let (project, environment) = api
        .environment(&who, Verb::Manage, (&project, &environment))
        .await?;
    let mut tx = api.store().write().await?;
    if !tx.put_stream_rights(&environment.id, &username, rights).await? {
        return Err(Failure::not_found("member"));
    }
    let word = |right: Option<bool>| match right {
        Some(true) => "yes",
        Some(false) => "no",
        None => "role",
    };
    let what = format!(
        "environment/{}/rights/{username}/logs={},exec={}",
        environment.name,
        word(rights.logs),
        word(rights.exec)
    );
    tx.environment_changed(&environment.id).await?;
    tx.audit(&who.name(), "put", &what, Some(&project.id)).await?;
    tx.commit().await?;
    Ok(Json(UserStreamRights { username, rights }))
}

/// Leave the rights of a user to their role again.
#[utoipa::path(
    delete, path = "/projects/{project}/environments/{environment}/rights/{username}", tag = "streams",
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("username" = String, Path),
    ),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn delete_stream_rights(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment, username)): Named<(String, String, String)>,
) -> Result<StatusCode, Failure> {
    let (project, environment) = api
        .environment(&who, Verb::Manage, (&project, &environment))
        .await?;
    let mut tx = api.store().write().await?;
    if !tx.delete_stream_rights(&environment.id, &username).await? {
        return Err(Failure::not_found("right of this user"));
    }
    let what = format!("environment/{}/rights/{username}", environment.name);
    tx.environment_changed(&environment.id).await?;
    tx.audit(&who.name(), "delete", &what, Some(&project.id)).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
