//! Where charts come from, as the controller sees it.

use std::path::PathBuf;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

/// One chart in one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `https://…` or `oci://…`.
    pub repo_url: String,
    pub name: String,
    pub version: String,
    pub signature: Signature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    NotAsked,
    /// The `.prov` file is fetched as well.
    Asked,
}

/// What a Secret says for a repository. No `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    None,
    Basic {
        username: String,
        password: String,
    },
    Bearer(String),
    /// Content of a `.dockerconfigjson`.
    Docker(Vec<u8>),
}

/// A chart on disk, its digest verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub archive: PathBuf,
    /// `sha256:…`
    pub digest: String,
    pub prov: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Trying again helps.
    #[error("{0}")]
    Away(String),
    /// Only a change helps.
    #[error("{0}")]
    Refused(String),
    #[error("it was cancelled")]
    Cancelled,
}

pub trait ChartSource: Send + Sync {
    /// Fetches the chart, or finds it where it was fetched to before.
    fn fetch<'a>(
        &'a self,
        wanted: &'a Wanted,
        credentials: &'a Credentials,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Fetched, SourceError>>;
}
