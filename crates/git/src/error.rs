//! What can go wrong with Git, told so that a person knows what to do next. No text here holds a secret.

use std::path::PathBuf;
use std::time::Duration;

use crate::CommitId;

pub type Result<T, E = GitError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    #[error(
        "{host} cannot be reached ({detail}); check the address and the network, the next try comes by itself"
    )]
    Unreachable { host: String, detail: String },
    #[error(
        "{host} refused the key or token; register this environment's public key (or renew the token) there"
    )]
    AuthRefused { host: String },
    #[error(
        "{host} shows a host key other than the pinned one; if the server was set up anew, let the platform hand out \
         its new key, otherwise somebody stands between"
    )]
    HostKeyMismatch { host: String },
    #[error(
        "{what} took longer than {after:?} and was stopped; the server may be overloaded or mute, it is tried again"
    )]
    Timeout { what: String, after: Duration },
    #[error(
        "{reference} is not where it was expected ({}, found {}); read it again and decide anew",
        shown(.expected), shown(.found)
    )]
    RefChanged {
        reference: String,
        expected: Option<CommitId>,
        found: Option<CommitId>,
    },
    #[error("the server refused to move {reference}: {message}")]
    RefRefused { reference: String, message: String },
    #[error(
        "the repository {url} does not exist or this key may not see it; check the address and the registered key"
    )]
    RepositoryMissing { url: String },
    #[error("{what} is larger than the limit of {limit}; split it or raise the limit")]
    TooBig { what: String, limit: u64 },
    #[error("{id} is not in this repository; fetch it first")]
    MissingObject { id: String },
    #[error("the repository address cannot be used: {reason}")]
    BadUrl { reason: String },
    #[error("{reference:?} is not a reference name")]
    BadReference { reference: String },
    #[error("{path:?} cannot be written: {reason}")]
    BadPath { path: String, reason: &'static str },
    #[error("{text:?} is not a Git object id of 40 lower-case hexadecimal digits")]
    BadId { text: String },
    #[error(
        "{} is locked by another program or was left behind by one that died; if no git runs there, delete the file",
        .path.display()
    )]
    Locked { path: PathBuf },
    #[error("{} is not a repository that c7n can use: {reason}", .path.display())]
    BadRepository { path: PathBuf, reason: String },
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("reading the repository failed: {detail}; run `git fsck` there if it stays so")]
    Storage { detail: String },
    #[error("{program} cannot be started ({source}); install it or put it on PATH")]
    ProgramMissing { program: String, source: std::io::Error },
    #[error("{what} failed: {detail}")]
    Failed { what: String, detail: String },
}

impl GitError {
    /// Whether the same call may well succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Locked { .. } | Self::Io { .. }
        )
    }

    /// Whether what should be in the repository is not: a mirror in which that happens is to be fetched anew.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Storage { .. } | Self::MissingObject { .. })
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn storage(error: impl std::error::Error) -> Self {
        let mut detail = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !detail.contains(&text) {
                detail = format!("{detail}: {text}");
            }
            source = cause.source();
        }
        Self::Storage { detail }
    }
}

fn shown(id: &Option<CommitId>) -> String {
    id.map_or_else(|| "no such reference".to_owned(), |id| id.to_string())
}
