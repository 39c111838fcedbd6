//! `index.yaml`: the list of charts and versions of a repository.
//!
//! In: its bytes, which may be many and partly wrong, or archives to be listed. Out: an [`Index`], or the text of one.

mod layout;
mod read;
mod resolve;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Digest, Metadata, Version,
    archive::{ApiVersion, lenient_text},
};

pub use read::{Head, IndexBudget, Skipped, for_each_chart};
pub use resolve::join_url;

/// A repository's charts, each with its versions, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Index {
    pub entries: BTreeMap<String, Vec<IndexEntry>>,
    /// When it was made, as the file says (RFC 3339).
    pub generated: String,
    /// What was wrong in the file and was left out.
    pub skipped: Vec<Skipped>,
}

/// One version of a chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexEntry {
    #[serde(flatten)]
    pub metadata: Metadata,
    /// Where the archive is, relative to the index or absolute; the first one counts.
    #[serde(default)]
    pub urls: Vec<String>,
    /// When it was added (RFC 3339).
    #[serde(default, deserialize_with = "lenient_text")]
    pub created: String,
    /// Hexadecimal SHA-256 of the archive, where the repository tells it.
    #[serde(
        default,
        deserialize_with = "lenient_text",
        skip_serializing_if = "String::is_empty"
    )]
    pub digest: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    #[error("the index is empty; the repository has none at this address, or it is broken")]
    Empty,
    #[error(
        "the index has {size} bytes, and at most {limit} are read; use a smaller repository or an OCI registry"
    )]
    TooBig { size: u64, limit: u64 },
    #[error("this is not a chart repository's index ({0}); check the repository's address")]
    NotAnIndex(String),
    #[error("the repository has no chart `{0}`; check the name, or the repository's address")]
    NoChart(String),
    #[error("the repository has no version of `{chart}` for `{wanted}`; it has {}", words(.known))]
    NoVersion {
        chart: String,
        wanted: String,
        /// The newest few.
        known: Vec<String>,
    },
    #[error(transparent)]
    Version(#[from] crate::VersionError),
    #[error("the index tells no address of `{chart}` {version}; its keeper must make the index anew")]
    NoUrl { chart: String, version: String },
    #[error(
        "the index tells the address `{url}`, which is none for a chart; its keeper must make the index anew"
    )]
    BadUrl { url: String },
}

fn words(known: &[String]) -> String {
    if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    }
}

impl IndexEntry {
    pub fn version(&self) -> Option<Version> {
        self.metadata.version()
    }

    /// The digest, if the repository tells one that can be checked.
    pub fn digest(&self) -> Option<Digest> {
        self.digest.parse().ok()
    }
}

impl Index {
    /// Adds a version and keeps the order; one that is there already is replaced.
    pub fn add(&mut self, entry: IndexEntry) {
        let versions = self.entries.entry(entry.metadata.name.clone()).or_default();
        versions.retain(|known| known.metadata.version != entry.metadata.version);
        versions.push(entry);
        sort(versions);
    }
}

/// Newest first.
fn sort(versions: &mut [IndexEntry]) {
    versions.sort_by_cached_key(|entry| std::cmp::Reverse(entry.version()));
}

/// What an entry without one is.
const DEFAULT_API_VERSION: ApiVersion = ApiVersion::V1;
