//! The words of the REST API.
//!
//! Every request and answer under `/api/v1` is one of these types; the server writes them, the command line and the
//! console read them, and the OpenAPI document is made from them. Nothing here decides anything.
//!
//! Conventions: ids are UUIDv7 as text; times are milliseconds since the Unix epoch, UTC, in fields that end in `_ms`;
//! a commit is its full hexadecimal id; an absent value is `null`, never an empty string.

mod access;
mod apps;
mod clusters;
mod commands;
mod deploy;
mod environments;
mod events;
mod forgotten;
mod history;
mod instances;
mod objects;
mod problem;
mod projects;
mod streams;

pub use access::*;
pub use apps::*;
pub use clusters::*;
pub use commands::*;
pub use deploy::*;
pub use environments::*;
pub use events::*;
pub use forgotten::*;
pub use history::*;
pub use instances::*;
pub use objects::*;
pub use problem::*;
pub use projects::*;
pub use streams::*;

/// A page of a list. Pass `next` as `?after=` to get the page that follows; `null` means that this was the last one.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}
