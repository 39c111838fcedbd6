//! What stands before every operation that needs a token.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use c7n_api::Caller;

use super::{Api, Failure};
use crate::access::{Actor, tokens};
use crate::store::Viewer;

/// Answers come from the database and never wait for an agent, so this is long.
const DEADLINE: Duration = Duration::from_secs(30);

/// Who is signed in, put into the request by [`authenticate`].
#[derive(Clone)]
pub(super) struct SignedIn {
    pub caller: Caller,
    pub token_hash: String,
}

impl SignedIn {
    pub fn actor(&self) -> Actor {
        Actor::User(self.caller.clone())
    }

    pub fn name(&self) -> String {
        self.actor().name()
    }

    pub fn viewer(&self) -> Viewer {
        Viewer {
            user: self.caller.id.clone(),
            administrator: self.caller.administrator,
        }
    }
}

pub(super) async fn authenticate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    match signed_in(&api, request.headers()).await {
        Ok(signed_in) => {
            request.extensions_mut().insert(signed_in);
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

async fn signed_in(api: &Api, headers: &HeaderMap) -> Result<SignedIn, Failure> {
    let token_hash = tokens::hash(bearer(headers).ok_or_else(Failure::unauthorized)?);
    let owner = api
        .store()
        .token_owner(&token_hash)
        .await?
        .ok_or_else(Failure::unauthorized)?;
    if owner.worth_touching
        && let Err(error) = api.store().touch_token(&owner.token_id).await
    {
        // When a token was last used is good to know, and no reason to turn anybody away.
        tracing::warn!(%error, "the use of a token was not recorded");
    }
    Ok(SignedIn {
        caller: owner.caller,
        token_hash,
    })
}

/// The id of the user whose token is shown, where none need be.
pub(super) async fn user_if_any(api: &Api, headers: &HeaderMap) -> Result<Option<String>, Failure> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Ok(None);
    }
    Ok(Some(signed_in(api, headers).await?.caller.id))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A change that has begun goes on when its caller hangs up, so that those who act on it are told; and every answer has a
/// deadline.
pub(super) async fn finish_what_was_begun(State(api): State<Api>, request: Request, next: Next) -> Response {
    let answer = if request.method() == Method::GET {
        tokio::time::timeout(DEADLINE, next.run(request)).await
    } else {
        let task = api.inner.tasks.spawn(async move { next.run(request).await });
        tokio::time::timeout(DEADLINE, task)
            .await
            .map(|done| done.unwrap_or_else(|broken| Failure::internal(&broken).into_response()))
    };
    answer.unwrap_or_else(|_| {
        let next = "look whether it was done, then try again";
        Failure::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "this took too long", next).into_response()
    })
}
