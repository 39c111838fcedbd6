//! Keys with which the caller reaches the Git host over SSH.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{NewSshKey, Problem, SshKey};

use crate::access::public_key;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::{Api, Failure};
use crate::store::{new_id, now_ms};

/// List one's SSH keys.
#[utoipa::path(get, path = "/me/keys", tag = "access", operation_id = "list_keys", responses((status = 200, body = Vec<SshKey>)))]
pub async fn list(State(api): State<Api>, who: SignedIn) -> Result<Json<Vec<SshKey>>, Failure> {
    Ok(Json(api.store().ssh_keys(&who.caller.id).await?))
}

/// Add an SSH key.
#[utoipa::path(
    post, path = "/me/keys", tag = "access", operation_id = "add_key", request_body = NewSshKey,
    responses(
        (status = 201, body = SshKey),
        (status = 409, body = Problem, description = "somebody has this key already"),
        (status = 422, body = Problem, description = "not a public key, or of a kind that is not supported"),
    )
)]
pub async fn add(
    State(api): State<Api>,
    who: SignedIn,
    Body(new): Body<NewSshKey>,
) -> Result<(StatusCode, Json<SshKey>), Failure> {
    let parsed = public_key::parse(&new.public_key)?;
    let key = SshKey {
        id: new_id(),
        title: new.title.chars().take(100).collect(),
        fingerprint: parsed.fingerprint,
        created_ms: now_ms(),
    };
    let mut tx = api.store().write().await?;
    tx.create_ssh_key(&who.caller.id, &key, &parsed.line).await?;
    tx.audit(&who.name(), "create", &format!("key/{}", key.fingerprint), None)
        .await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(key)))
}

/// Remove an SSH key.
#[utoipa::path(
    delete, path = "/me/keys/{id}", tag = "access", operation_id = "delete_key", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub async fn delete(
    State(api): State<Api>,
    who: SignedIn,
    Named(id): Named<String>,
) -> Result<StatusCode, Failure> {
    let mut tx = api.store().write().await?;
    if !tx.delete_ssh_key(&who.caller.id, &id).await? {
        return Err(Failure::not_found("key"));
    }
    tx.audit(&who.name(), "delete", &format!("key/{id}"), None)
        .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
