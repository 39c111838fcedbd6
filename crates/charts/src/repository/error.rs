//! What can go wrong between us and a repository, said to the person who named it.

use std::time::Duration;

use super::address::AddressError;
use crate::{ArchiveError, Digest, IndexError, VersionError};

/// Addresses in here have no query and no credentials.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    #[error("the repository's address is not usable: {0}")]
    Address(#[from] AddressError),
    #[error("the chart's name `{0}` is not one; it may have letters, digits, `-`, `_` and `.`")]
    Name(String),
    #[error("{url} cannot be reached: {reason}; check the address, and whether this network may reach it")]
    Unreachable { url: String, reason: String },
    #[error(
        "{url} shows a certificate that nobody here vouches for ({reason}); give the certificate of its own authority: to an agent \
         with --ca-file (ca.bundle of its chart), to the platform with `c7n app create --ca-file`"
    )]
    Untrusted { url: String, reason: String },
    #[error("{url} did not answer within {} s; try again, or check the way there", .after.as_secs())]
    Deadline { url: String, after: Duration },
    #[error(
        "{url} asks for credentials; put them into a Secret and name it with the repository (repoSecret)"
    )]
    CredentialsWanted { url: String },
    #[error("{url} refuses the credentials ({status}); check the Secret, and what its user may read")]
    CredentialsRefused { url: String, status: u16 },
    #[error(
        "{url} is not there ({status}); check the repository's address, the chart's name and its version"
    )]
    NotFound { url: String, status: u16 },
    #[error("{url} answered {status}; the repository is out of order, try again later")]
    Status { url: String, status: u16 },
    #[error("{url} sends more than {limit} bytes, which is the limit; check that this is a chart repository")]
    TooBig { url: String, limit: u64 },
    #[error("{url} redirects {reason}; put the address that it leads to in place of the repository's")]
    Redirect { url: String, reason: &'static str },
    #[error(
        "{url} has the digest {found}, and {told} was told; it was changed on its way or in the repository, ask its keeper"
    )]
    WrongDigest {
        url: String,
        told: String,
        found: Digest,
    },
    #[error("{url} holds the chart {found}, and {wanted} was asked for; ask the repository's keeper")]
    WrongChart {
        url: String,
        wanted: String,
        found: String,
    },
    #[error("{url} is no Helm chart but `{media_type}`; check the chart's name and version")]
    NotAChart { url: String, media_type: String },
    #[error(
        "{url} answered something else than a registry would ({reason}); check that this is an OCI registry"
    )]
    NotARegistry { url: String, reason: String },
    #[error(
        "there is no provenance file for {chart}; ask its publisher to sign it, or do without `provenance`"
    )]
    NoProvenance { chart: String },
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error("{url}: {error}")]
    Archive { url: String, error: ArchiveError },
    #[error("the folder for charts cannot be used ({what}): {error}; check its space and rights")]
    Cache {
        what: &'static str,
        error: std::io::Error,
    },
    #[error("the program's own settings for connections are not usable: {0}")]
    Settings(String),
}

impl RepositoryError {
    /// Whether the same may work later, with nothing changed by a person.
    pub fn is_transient(&self) -> bool {
        match self {
            // One that has expired, its keeper may renew.
            Self::Untrusted { .. } => true,
            Self::Unreachable { .. } | Self::Deadline { .. } | Self::Cache { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429 || *status == 408,
            _ => false,
        }
    }
}
