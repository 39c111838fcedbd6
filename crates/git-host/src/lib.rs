//! The embedded Git host: bare repositories over SSH and smart HTTP.
//!
//! In: connections of people's and agents' `git`. Out: `git upload-pack` and `git receive-pack` in the repository that
//! the [`Authority`] grants, and word of every push. It knows nothing of databases, users or environments.
//! Never: a shell, a repository that was not granted, a hint whether a refused one exists.

mod authority;
mod connection;
mod fingerprint;
mod hooks;
mod host;
mod host_key;
mod http;
mod process;
mod request;
mod ssh;
mod watch;

pub use authority::{Actor, ActorKind, Authority, Grant, RefRole, Refusal, Wish};
pub use fingerprint::{BadKey, fingerprint};
pub use hooks::refusal_of;
pub use host::{Host, HostError, Limits};
pub use http::http_router;
pub use request::RepositoryPath;
pub use ssh::SshHost;
