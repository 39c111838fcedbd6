//! Who calls, and what they may do.
//!
//! In: a password, a token, a key. Out: an [`Actor`], and from [`authorize`] a yes or a no. All questions of permission
//! come here; lists ask the same rule of the database ([`crate::store::Viewer::narrow`]).
//! Never: a secret in an error, a log or a `Debug`.

mod authorize;
pub mod first_run;
pub mod git;
pub mod login_limit;
pub mod passwords;
pub mod public_key;
pub mod tokens;

pub use authorize::{Actor, Denial, Resource, Verb, authorize};
