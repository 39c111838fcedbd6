//! Tokens with which programs read the charts of a project.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{IssuedToken, NewToken, Problem, Token};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::new_token::MadeToken;
use crate::api::{Api, Failure};

const PER_PROJECT: i64 = 500;

/// List the tokens of a project's chart repository.
#[utoipa::path(
    get, path = "/projects/{project}/chart-tokens", tag = "apps",
    params(("project" = String, Path, description = "name or id")),
    responses((status = 200, body = Vec<Token>), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn list_chart_tokens(
    State(api): State<Api>,
    who: SignedIn,
    Named(project): Named<String>,
) -> Result<Json<Vec<Token>>, Failure> {
    let project = api.project(&who, Verb::Manage, &project).await?;
    Ok(Json(api.store().chart_tokens(&project.id).await?))
}

/// Make a token that reads the charts of this project, and nothing else.
///
/// It is shown in this answer and never again. It is the password; any user name goes with it.
#[utoipa::path(
    post, path = "/projects/{project}/chart-tokens", tag = "apps", request_body = NewToken,
    params(("project" = String, Path, description = "name or id")),
    responses(
        (status = 201, body = IssuedToken), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "there are too many already"), (status = 422, body = Problem),
    )
)]
pub async fn issue_chart_token(
    State(api): State<Api>,
    who: SignedIn,
    Named(project): Named<String>,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<IssuedToken>), Failure> {
    let project = api.project(&who, Verb::Manage, &project).await?;
    let made = MadeToken::new(new)?;
    let mut tx = api.store().write().await?;
    if tx.count_chart_tokens(&project.id).await? >= PER_PROJECT {
        return Err(Failure::conflict(
            format!("the project has {PER_PROJECT} such tokens, and no more are kept"),
            "revoke some",
        ));
    }
    tx.create_chart_token(&project.id, &made.token, made.hash())
        .await?;
    tx.audit(
        &who.name(),
        "create",
        &format!("chart-token/{}", made.token.id),
        Some(&project.id),
    )
    .await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, made.shown()))
}

/// Revoke such a token. It stops working at once.
#[utoipa::path(
    delete, path = "/projects/{project}/chart-tokens/{id}", tag = "apps",
    params(("project" = String, Path, description = "name or id"), ("id" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn revoke_chart_token(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, id)): Named<(String, String)>,
) -> Result<StatusCode, Failure> {
    let project = api.project(&who, Verb::Manage, &project).await?;
    let mut tx = api.store().write().await?;
    if !tx.delete_chart_token(&project.id, &id).await? {
        return Err(Failure::not_found("token"));
    }
    tx.audit(
        &who.name(),
        "delete",
        &format!("chart-token/{id}"),
        Some(&project.id),
    )
    .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
