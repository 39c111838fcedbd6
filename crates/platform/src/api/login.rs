//! Trades a password for a token.

use std::net::SocketAddr;
use std::time::Instant;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use c7n_api::{IssuedToken, Login, NewToken, Problem};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Body;
use super::new_token::MadeToken;
use super::{Api, Failure};
use crate::store::now_ms;

const VALID_MS: i64 = 30 * 24 * 60 * 60 * 1000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(login))
}

/// Sign in.
///
/// The token works for 30 days. Too many wrong attempts for one user name or from one address have to wait.
#[utoipa::path(
    post, path = "/login", tag = "access", request_body = Login,
    responses(
        (status = 200, body = IssuedToken),
        (status = 401, body = Problem, description = "user name or password is wrong"),
        (status = 429, body = Problem, description = "too many attempts; `Retry-After` says when to come back"),
    )
)]
async fn login(
    State(api): State<Api>,
    ConnectInfo(source): ConnectInfo<SocketAddr>,
    Body(login): Body<Login>,
) -> Result<Json<IssuedToken>, Failure> {
    let username: String = login.username.chars().take(64).collect();
    api.inner
        .login_limit
        .attempt(&username, source.ip(), Instant::now())
        .map_err(|wait| {
            let seconds = wait.as_secs() + 1;
            let next = format!("wait {seconds} seconds, or use a token that you have");
            Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-attempts",
                "too many attempts to sign in",
                next,
            )
            .retry_after(seconds)
        })?;
    let user = api.store().user_by_name(&login.username).await?;
    let stored = user.as_ref().map(|user| user.password_hash.clone());
    let right = api.inner.passwords.verify(login.password, stored).await?;
    let Some(user) = user.filter(|_| right) else {
        return Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            "wrong-password",
            "the user name or the password is wrong",
            "try again, or ask an administrator",
        ));
    };
    api.inner.login_limit.succeeded(&username, source.ip());
    let made = MadeToken::new(NewToken {
        name: login.token_name.unwrap_or_else(|| "sign-in".to_owned()),
        expires_ms: Some(now_ms() + VALID_MS),
    })?;
    let mut tx = api.store().write().await?;
    super::me::limit_tokens(&mut tx, &user.caller.id).await?;
    tx.create_token(&user.caller.id, &made.token, made.hash()).await?;
    tx.audit(
        &format!("user:{}", user.caller.username),
        "sign-in",
        &format!("token/{}", made.token.id),
        None,
    )
    .await?;
    tx.commit().await?;
    Ok(made.shown())
}
