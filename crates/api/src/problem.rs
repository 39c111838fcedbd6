//! Errors, as RFC 9457 problem details.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of every answer that is not a success, `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// One word for programs, for instance `not-found`.
    pub code: String,
    pub status: u16,
    /// What happened, for people.
    pub title: String,
    /// What to do next.
    pub next: String,
}
