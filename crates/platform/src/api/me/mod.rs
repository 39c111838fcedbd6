//! The caller's own: who they are, their keys, their tokens.

mod keys;
mod tokens;

use axum::Json;
use c7n_api::{Caller, Problem};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::authenticate::SignedIn;

pub(super) use tokens::limit_tokens;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(me))
        .routes(routes!(keys::list, keys::add))
        .routes(routes!(keys::delete))
        .routes(routes!(tokens::list, tokens::issue))
        .routes(routes!(tokens::revoke))
}

/// Who am I.
#[utoipa::path(
    get, path = "/me", tag = "access",
    responses((status = 200, body = Caller), (status = 401, body = Problem))
)]
async fn me(who: SignedIn) -> Json<Caller> {
    Json(who.caller)
}
