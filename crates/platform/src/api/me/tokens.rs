//! The caller's API tokens.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{IssuedToken, NewToken, Problem, Token};

use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::new_token::MadeToken;
use crate::api::{Api, Failure};
use crate::store::Tx;

const PER_USER: i64 = 500;

/// List one's tokens.
#[utoipa::path(get, path = "/me/tokens", tag = "access", operation_id = "list_tokens", responses((status = 200, body = Vec<Token>)))]
pub async fn list(State(api): State<Api>, who: SignedIn) -> Result<Json<Vec<Token>>, Failure> {
    Ok(Json(api.store().tokens(&who.caller.id).await?))
}

/// Make a token.
///
/// It is shown in this answer and never again.
#[utoipa::path(
    post, path = "/me/tokens", tag = "access", operation_id = "issue_token", request_body = NewToken,
    responses((status = 201, body = IssuedToken), (status = 422, body = Problem))
)]
pub async fn issue(
    State(api): State<Api>,
    who: SignedIn,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<IssuedToken>), Failure> {
    let made = MadeToken::new(new)?;
    let mut tx = api.store().write().await?;
    limit_tokens(&mut tx, &who.caller.id).await?;
    tx.create_token(&who.caller.id, &made.token, made.hash()).await?;
    tx.audit(&who.name(), "create", &format!("token/{}", made.token.id), None)
        .await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, made.shown()))
}

/// Revoke a token. It stops working at once.
#[utoipa::path(
    delete, path = "/me/tokens/{id}", tag = "access", operation_id = "revoke_token", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub async fn revoke(
    State(api): State<Api>,
    who: SignedIn,
    Named(id): Named<String>,
) -> Result<StatusCode, Failure> {
    let mut tx = api.store().write().await?;
    if !tx.delete_token(&who.caller.id, &id).await? {
        return Err(Failure::not_found("token"));
    }
    tx.audit(&who.name(), "delete", &format!("token/{id}"), None)
        .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes room by dropping expired tokens; somebody who still has too many has to delete some.
pub(in crate::api) async fn limit_tokens(tx: &mut Tx, user: &str) -> Result<(), Failure> {
    tx.delete_expired_tokens(user).await?;
    if tx.count_tokens(user).await? < PER_USER {
        return Ok(());
    }
    let next = "delete some (DELETE /api/v1/me/tokens/ID)";
    Err(Failure::conflict(
        format!("you have {PER_USER} tokens, and no more are kept"),
        next,
    ))
}
