//! Git for both sides: what a repository holds (trees, blobs, tags) and how it travels (fetch, push).
//!
//! In: a bare repository on disk, or a remote with its key and its known hosts. Out: ids, file lists, bytes, commits, moved
//! tags. Reading and committing happen in this process ([`Repository`], `gix`); the network belongs to the `git` and `ssh` programs
//! ([`Mirror`]), each in a process group that dies at its deadline.
//! Never: a checkout, a follow of a symlink or a submodule, a secret in a URL, an argument or an error.

mod changed;
mod classify;
mod command;
mod commit;
mod error;
mod fetch;
mod ids;
mod keys;
mod log;
mod maintain;
mod mirror;
mod move_tag;
pub mod process;
mod push;
mod repository;
mod secret;
mod ssh;
mod sweep;
mod tree;
mod url;

pub use changed::FileChange;
pub use command::locked_down;
pub use commit::{FileEdit, NewCommit, Signature};
pub use error::{GitError, Result};
pub use fetch::Fetched;
pub use ids::{BlobId, CommitId};
pub use keys::{KeyPair, ensure_key_pair};
pub use log::CommitInfo;
pub use mirror::{Limits, Mirror};
pub use repository::Repository;
pub use secret::Secret;
pub use ssh::known_hosts_line;
pub use tree::{Refused, RefusedKind, Tree};
pub use url::{PlainHttp, Remote, Transport};

/// The newest commit that the platform has parsed. Moved by the platform alone.
pub const DEVOPS_SYNC: &str = "refs/tags/devops-sync";
/// The newest commit that the agent has delivered. Moved by the agent alone.
pub const AGENT_SYNC: &str = "refs/tags/agent-sync";
/// What [`Mirror::check_tag_rights`] creates and deletes: this, and a random end.
pub const CHECK_TAG_PREFIX: &str = "refs/tags/c7n-check-";
