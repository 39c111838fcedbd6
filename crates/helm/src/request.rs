//! What an operation is asked with.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A release, in Helm's words: its name is unique in its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReleaseId {
    pub namespace: String,
    pub name: String,
}

impl ReleaseId {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// What is written on every rendered object beside the release's name (R14).
///
/// A value that is no valid label value is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Labels {
    pub environment: String,
    pub commit: String,
}

/// A chart's archive on disk (`.tgz`), already fetched and its digest verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    pub archive: PathBuf,
}

/// The chart must be signed by a key of the keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The chart's `.prov` file.
    pub prov: PathBuf,
    /// A public keyring, binary or armoured.
    pub keyring: PathBuf,
}

/// A chart's values as YAML. They may hold passwords: never printed, and handed on by standard input alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values(String);

impl Values {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Values {
    fn from(yaml: String) -> Self {
        Self(yaml)
    }
}

impl From<&str> for Values {
    fn from(yaml: &str) -> Self {
        Self(yaml.to_owned())
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Values({} bytes)", self.0.len())
    }
}

/// The digest of the specification that a revision is made of, remembered as the release's label
/// `choerodon.io/spec-digest`. Short enough to be a label's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpecDigest(String);

impl SpecDigest {
    /// The label of a release that holds it.
    pub const LABEL: &'static str = "choerodon.io/spec-digest";

    /// The digest of these bytes: the first 160 bits of their SHA-256 in hexadecimal.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(
            Sha256::digest(bytes.as_ref())
                .iter()
                .take(20)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }

    /// A digest that was written before, as the label holds it.
    pub fn from_label(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SpecDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What to do about objects that exist and are not this release's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ownership {
    /// [`EngineError::NotOurs`](crate::EngineError::NotOurs) names them.
    #[default]
    Respect,
    /// They become the release's.
    Take,
}

/// What to do about fields that another manager owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflicts {
    /// [`EngineError::Conflict`](crate::EngineError::Conflict) names field and owner; nothing is stolen.
    #[default]
    Report,
    /// The chart's value wins.
    Overwrite,
}

/// Which kinds without a namespace a chart may hold. Objects with one are confined to the release's own in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClusterKinds {
    #[default]
    All,
    /// Each as `KIND.GROUP`, or `KIND` alone for those of the core. A chart's `crds/` count as
    /// `CustomResourceDefinition.apiextensions.k8s.io`; where that is not allowed, they must be there already.
    Only(Vec<String>),
}

/// What becomes of an upgrade that fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The failed revision stays, to be looked at. Workloads are not waited for.
    #[default]
    Keep,
    /// The last good revision is restored. Workloads are waited for within the operation's time.
    RollBack,
}

/// What becomes of the release's workloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Workloads {
    /// What the chart asks for.
    #[default]
    AsAsked,
    /// Deployments, StatefulSets and CronJobs are written with nothing of them running. Helm records what the chart asks
    /// for all the same.
    Stopped,
}

/// What uninstalling leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum History {
    #[default]
    Forget,
    /// The release stays listed as uninstalled, and can be rolled back or installed again.
    Keep,
}

/// What a chart sees of the cluster while it is rendered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lookup {
    /// The cluster's version and kinds, and what `lookup` finds in it.
    #[default]
    Cluster,
    /// Nothing: `lookup` is empty, and only the kinds of Kubernetes itself are known.
    Nothing,
}

/// What a release is to be, whether it is there or not.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub id: ReleaseId,
    pub chart: Chart,
    pub values: Values,
    pub labels: Labels,
    pub cluster_kinds: ClusterKinds,
    pub spec_digest: SpecDigest,
    pub timeout: Duration,
    pub provenance: Option<Provenance>,
    pub ownership: Ownership,
    pub workloads: Workloads,
}

#[derive(Clone, Debug)]
pub struct Install {
    pub deployment: Deployment,
    pub conflicts: Conflicts,
}

#[derive(Clone, Debug)]
pub struct Upgrade {
    pub deployment: Deployment,
    pub conflicts: Conflicts,
    pub on_failure: OnFailure,
}

/// The manifest of the earlier revision is written as it is: objects carry the labels they had then.
#[derive(Clone, Debug)]
pub struct Rollback {
    pub id: ReleaseId,
    pub revision: u32,
    pub cluster_kinds: ClusterKinds,
    pub timeout: Duration,
    pub workloads: Workloads,
    pub conflicts: Conflicts,
    pub on_failure: OnFailure,
}

#[derive(Clone, Debug)]
pub struct Uninstall {
    pub id: ReleaseId,
    pub history: History,
    pub timeout: Duration,
}

#[derive(Clone, Debug)]
pub struct Test {
    pub id: ReleaseId,
    pub cluster_kinds: ClusterKinds,
    pub timeout: Duration,
}

#[derive(Clone, Debug)]
pub struct Render {
    pub id: ReleaseId,
    pub chart: Chart,
    pub values: Values,
    pub labels: Labels,
    pub cluster_kinds: ClusterKinds,
    pub timeout: Duration,
    pub provenance: Option<Provenance>,
    pub lookup: Lookup,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_printed() {
        let values = Values::from("password: canary");
        assert!(!format!("{values:?}").contains("canary"));
    }

    #[test]
    fn a_spec_digest_fits_into_a_label() {
        let digest = SpecDigest::of("spec");
        assert_eq!(digest.as_str().len(), 40);
        assert_ne!(digest, SpecDigest::of("other"));
        assert_eq!(digest, SpecDigest::from_label(digest.to_string()));
    }
}
