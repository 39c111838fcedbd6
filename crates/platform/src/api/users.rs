//! The users of the platform, kept by its administrators.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{Caller, NewUser, Problem};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::authenticate::SignedIn;
use super::extract::Body;
use super::{Api, Failure};
use crate::access::Verb;
use crate::names;
use crate::store::{UserRow, new_id};

const SHORTEST_PASSWORD: usize = 10;
const LONGEST_PASSWORD: usize = 1000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create))
}

/// List all users. For administrators.
#[utoipa::path(
    get, path = "/users", tag = "users", operation_id = "list_users",
    responses((status = 200, body = Vec<Caller>), (status = 403, body = Problem))
)]
async fn list(State(api): State<Api>, who: SignedIn) -> Result<Json<Vec<Caller>>, Failure> {
    api.platform(&who, Verb::Manage)?;
    Ok(Json(api.store().users().await?))
}

/// Create a user. For administrators.
#[utoipa::path(
    post, path = "/users", tag = "users", operation_id = "create_user", request_body = NewUser,
    responses(
        (status = 201, body = Caller), (status = 403, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem),
    )
)]
async fn create(
    State(api): State<Api>,
    who: SignedIn,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<Caller>), Failure> {
    api.platform(&who, Verb::Manage)?;
    names::username(&new.username)?;
    if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&new.password.len()) {
        let title =
            format!("the password is shorter than {SHORTEST_PASSWORD} or longer than {LONGEST_PASSWORD}");
        return Err(Failure::invalid(title, "choose another password"));
    }
    let caller = Caller {
        id: new_id(),
        username: new.username,
        administrator: new.administrator,
    };
    let password_hash = api.inner.passwords.hash(new.password).await?;
    let user = UserRow {
        caller,
        password_hash,
    };
    let mut tx = api.store().write().await?;
    tx.create_user(&user).await?;
    tx.audit(
        &who.name(),
        "create",
        &format!("user/{}", user.caller.username),
        None,
    )
    .await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(user.caller)))
}
