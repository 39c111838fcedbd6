//! Answers that are no success: RFC 9457, with what to do next.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use c7n_api::Problem;
use c7n_git::GitError;

use crate::access::Denial;
use crate::access::passwords::PasswordError;
use crate::access::public_key::PublicKeyError;
use crate::names::NameError;
use crate::store::{StoreError, word};

#[derive(Debug)]
pub struct Failure {
    problem: Problem,
    retry_after: Option<u64>,
}

impl Failure {
    pub fn new(status: StatusCode, code: &str, title: impl Into<String>, next: impl Into<String>) -> Self {
        let (status, code) = (status.as_u16(), code.to_owned());
        Self {
            problem: Problem {
                code,
                status,
                title: title.into(),
                next: next.into(),
            },
            retry_after: None,
        }
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// One and the same for a token that is missing, wrong, expired or revoked.
    pub fn unauthorized() -> Self {
        let next = "sign in (POST /api/v1/login) and send the token as `Authorization: Bearer TOKEN`";
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "this needs a valid token",
            next,
        )
    }

    /// One and the same for what is not there and for what the caller may not see.
    pub fn not_found(what: &str) -> Self {
        let next = "check the name, and that you are a member of the project";
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("there is no such {what}"),
            next,
        )
    }

    pub fn invalid(title: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", title, next)
    }

    pub fn conflict(title: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", title, next)
    }

    /// What is seen but may not be done; `what` it was that was not found, if even that is not to be known.
    pub fn denied(denial: Denial, what: &str) -> Self {
        let (title, next) = match denial {
            Denial::Hidden => return Self::not_found(what),
            Denial::Needs(role) => (
                format!("this needs the role {} in the project", word(role)),
                "ask an owner of the project for it",
            ),
            Denial::NeedsRight(what) => (
                format!("you have no right to {what} in this environment"),
                "ask an owner of the project for it (`c7n env rights`)",
            ),
            Denial::NeedsAdministrator => (
                "only administrators may do this".to_owned(),
                "ask an administrator of the platform",
            ),
        };
        Self::new(StatusCode::FORBIDDEN, "forbidden", title, next)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists(what) => Self::new(
                StatusCode::CONFLICT,
                "exists",
                format!("{what} is there already"),
                "choose another",
            ),
            StoreError::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "the database is busy",
                "try again in a few seconds",
            )
            .retry_after(2),
            StoreError::Full => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "disk-full",
                "the disk of the platform is full; nothing was changed",
                "tell an administrator to free some space, then try again",
            )
            .retry_after(30),
            other => Self::internal(&other),
        }
    }
}

impl Failure {
    /// The details are for the log, not for the caller.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the platform failed to do this",
            "try again; if it stays so, look into the platform's log",
        )
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        let next = match &error {
            NameError::SystemNamespace(_) => "choose a namespace of your own",
            NameError::Branch(_) => "use letters, digits, '-', '_', '.' and '/', as in `release/1.0`",
            NameError::Username(_) => "choose another user name",
            NameError::Id { .. } => "choose a name that people can tell apart",
            _ => "use a DNS label (RFC 1123): up to 63 lower-case letters, digits and dashes, as in `shop-1`",
        };
        Self::invalid(error.to_string(), next)
    }
}

impl From<PublicKeyError> for Failure {
    fn from(error: PublicKeyError) -> Self {
        Self::invalid(
            error.to_string(),
            "send the content of a file such as `~/.ssh/id_ed25519.pub`",
        )
    }
}

impl From<PasswordError> for Failure {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                error.to_string(),
                "try again in a few seconds",
            )
            .retry_after(5),
            PasswordError::Hash(_) => Self::internal(&error),
        }
    }
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        Self::internal(&error)
    }
}

pub(super) async fn no_such_operation() -> Failure {
    Failure::new(
        StatusCode::NOT_FOUND,
        "no-such-operation",
        "the API has no such address",
        "GET /api/v1/openapi.json lists all",
    )
}

pub(super) async fn no_such_method() -> Failure {
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no-such-method",
        "this address does not take that method",
        "GET /api/v1/openapi.json lists all",
    )
}
