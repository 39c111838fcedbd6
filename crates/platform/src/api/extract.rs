//! What comes in, with our own words for what is wrong with it.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Failure;
use super::authenticate::SignedIn;

#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Failure))]
pub(super) struct Body<T>(pub T);

#[derive(FromRequestParts)]
#[from_request(via(Query), rejection(Failure))]
pub(super) struct Asked<T>(pub T);

#[derive(FromRequestParts)]
#[from_request(via(Path), rejection(Failure))]
pub(super) struct Named<T>(pub T);

/// Which page of a long list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// `next` of the page before.
    after: Option<String>,
    /// 1 to 500, 50 unless said otherwise.
    limit: Option<u32>,
}

impl Paging {
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    pub fn length(&self) -> u32 {
        self.limit.unwrap_or(50).clamp(1, 500)
    }
}

impl From<JsonRejection> for Failure {
    fn from(rejection: JsonRejection) -> Self {
        let next =
            "send JSON with `Content-Type: application/json`, as GET /api/v1/openapi.json describes it";
        let status = match rejection.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::UNPROCESSABLE_ENTITY,
            other => other,
        };
        // The text of a rejection may quote the body, and the body may hold a password.
        let title = match &rejection {
            JsonRejection::JsonSyntaxError(_) => "the body is not JSON",
            JsonRejection::JsonDataError(_) => "the body lacks a field, or a field has the wrong type",
            JsonRejection::MissingJsonContentType(_) => "the body is not said to be JSON",
            _ if status == StatusCode::PAYLOAD_TOO_LARGE => "the body is too big",
            _ => "the body cannot be read",
        };
        Failure::new(status, "bad-body", title, next)
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        let next = "GET /api/v1/openapi.json describes the query";
        Failure::new(StatusCode::BAD_REQUEST, "bad-query", rejection.body_text(), next)
    }
}

impl From<PathRejection> for Failure {
    fn from(_: PathRejection) -> Self {
        let next = "GET /api/v1/openapi.json lists all addresses";
        Failure::new(
            StatusCode::BAD_REQUEST,
            "bad-path",
            "the address cannot be read",
            next,
        )
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        // Missing only where an operation was wired outside of `authenticate`: then it stays closed.
        parts
            .extensions
            .get::<SignedIn>()
            .cloned()
            .ok_or_else(Failure::unauthorized)
    }
}
