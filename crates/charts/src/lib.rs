//! Helm charts, without Helm: what is in an archive, which versions a repository has, and how to get one.
//!
//! - [`archive`]: a chart's `.tgz` to its metadata, default values, schema and README, within budgets.
//! - [`index`]: `index.yaml` of a chart repository, read with tolerance and written as `helm repo index` does.
//! - [`version`]: versions and ranges of versions, as Helm compares them.
//! - [`values`]: `--set`, the schema's word on values, and what a new version means for them.
//! - [`repository`]: clients of HTTP chart repositories and OCI registries, with a cache on disk.
//!
//! All but the last are functions of their arguments: no network, no disk, no clock. Nothing here runs a chart's templates; that
//! is the work of Helm itself.

pub mod archive;
mod digest;
pub mod index;
mod provenance;
pub mod repository;
pub mod values;
pub mod version;
mod yaml;

pub use archive::{ArchiveError, Budget, ChartArchive, ChartType, Metadata};
pub use digest::Digest;
pub use index::{Index, IndexEntry, IndexError};
pub use provenance::{ProvenanceError, check_provenance};
pub use repository::{
    ChartClient, ChartClientOptions, ChartRef, Credentials, Fetched, Provenance, RepositoryError,
};
pub use version::{Constraint, Version, VersionError};
