//! Clients of chart repositories: HTTP with an `index.yaml`, and OCI registries.
//!
//! In: an address, a name, a version or range, perhaps credentials. Out: an archive on disk whose digest is known and which is the
//! chart that was asked for. Never: credentials at another host than their own, an address of a cloud's metadata service, a
//! download without limit of size or time, an archive that [`crate::archive`] would refuse.

mod address;
mod cache;
mod client;
mod credentials;
mod download;
mod error;
mod http;
mod oci;
mod transport;

use std::path::PathBuf;

use crate::Digest;

pub use address::AddressError;
pub use client::{ChartClient, ChartClientOptions, Provenance};
pub use credentials::{Credentials, CredentialsError};
pub use error::RepositoryError;

/// What to get.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChartRef {
    /// `https://HOST/PATH`, or `oci://HOST/PATH`, where the chart is at `PATH/NAME`.
    pub repo_url: String,
    pub name: String,
    /// A version, a range, or nothing for the newest stable one.
    pub version: String,
}

/// What was got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// In the cache; it stays there for at least a quarter of an hour.
    pub archive: PathBuf,
    pub digest: Digest,
    /// Beside the archive, where it was wanted.
    pub prov: Option<PathBuf>,
    /// As the repository writes it.
    pub resolved_version: String,
}
