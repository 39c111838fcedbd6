//! Where charts come from, as the controller sees it.

use std::path::PathBuf;

use c7n_charts::{ChartClient, ChartRef, Credentials, Provenance};
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
    /// Fetches the chart, or finds it where it was fetched to before. Has a deadline of its own.
    fn fetch<'a>(
        &'a self,
        wanted: &'a Wanted,
        credentials: Option<&'a Credentials>,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Fetched, SourceError>>;
}

impl ChartSource for ChartClient {
    fn fetch<'a>(
        &'a self,
        wanted: &'a Wanted,
        credentials: Option<&'a Credentials>,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        Box::pin(async move {
            let chart = ChartRef {
                repo_url: wanted.repo_url.clone(),
                name: wanted.name.clone(),
                version: wanted.version.clone(),
            };
            let provenance = match wanted.signature {
                Signature::NotAsked => Provenance::Unwanted,
                Signature::Asked => Provenance::Wanted,
            };
            let fetched = tokio::select! {
                () = cancel.cancelled() => return Err(SourceError::Cancelled),
                fetched = ChartClient::fetch(self, &chart, credentials, provenance) => fetched,
            };
            match fetched {
                Ok(fetched) => Ok(Fetched {
                    archive: fetched.archive,
                    digest: format!("sha256:{}", fetched.digest.hex()),
                    prov: fetched.prov,
                }),
                Err(error) if error.is_transient() => Err(SourceError::Away(error.to_string())),
                Err(error) => Err(SourceError::Refused(error.to_string())),
            }
        })
    }
}
