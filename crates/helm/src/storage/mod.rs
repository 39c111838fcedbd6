//! Helm's records of releases, read from the cluster: one Secret of type `helm.sh/release.v1` per revision.
//!
//! Reading them needs no Helm: base64, gzip, JSON. Only Helm writes them. Decoding is pure and has limits, since whoever may
//! write Secrets in a namespace may write these.

mod decode;
mod read;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest, Sha256};

pub use decode::DecodeError;
pub use read::{ReleaseStore, StoreError};

use crate::{ReleaseId, ReleaseStatus, SpecDigest};

/// The type of a Secret that holds a revision.
pub const SECRET_TYPE: &str = "helm.sh/release.v1";

/// What selects the Secrets of all releases among others.
pub const SELECTOR: &str = "owner=helm";

/// What selects the Secrets of one release in its namespace.
pub fn of_release(id: &ReleaseId) -> String {
    format!("{SELECTOR},name={}", id.name)
}

/// The name of the Secret that holds a revision.
pub fn secret_name(id: &ReleaseId, revision: u32) -> String {
    format!("sh.helm.release.v1.{}.v{revision}", id.name)
}

/// What the labels of a revision's Secret tell, without its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionHead {
    pub id: ReleaseId,
    pub revision: u32,
    pub status: ReleaseStatus,
    pub spec_digest: Option<SpecDigest>,
    /// All labels that Helm did not make.
    pub labels: BTreeMap<String, String>,
}

/// Labels that Helm writes for itself.
const OWN_LABELS: [&str; 6] = ["name", "owner", "status", "version", "createdAt", "modifiedAt"];

impl RevisionHead {
    /// `None` where the Secret is not a revision's.
    pub fn of(metadata: &ObjectMeta) -> Option<Self> {
        let labels = metadata.labels.as_ref()?;
        if labels.get("owner").map(String::as_str) != Some("helm") {
            return None;
        }
        let Ok(status) = labels.get("status")?.parse();
        Some(Self {
            id: ReleaseId::new(metadata.namespace.clone()?, labels.get("name")?),
            revision: labels.get("version")?.parse().ok()?,
            status,
            spec_digest: labels.get(SpecDigest::LABEL).map(SpecDigest::from_label),
            labels: labels
                .iter()
                .filter(|(key, _)| !OWN_LABELS.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        })
    }
}

/// One revision of a release. Its manifest may hold Secrets: it is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Revision {
    pub head: RevisionHead,
    /// Name and version of the chart.
    pub chart: String,
    pub chart_version: String,
    pub app_version: String,
    /// Helm's words about what became of it. They quote the API server: show them to nobody.
    pub description: String,
    /// RFC 3339.
    pub first_deployed: String,
    pub last_deployed: String,
    /// Documents of YAML as they were written to the cluster, without hooks.
    pub manifest: String,
    pub applied: ApplyMethod,
}

/// How Helm wrote the objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApplyMethod {
    /// As Helm 3 does, and Helm 4 with releases of Helm 3.
    #[default]
    ClientSide,
    ServerSide,
}

impl Revision {
    /// `NAME-VERSION`.
    pub fn chart_name(&self) -> String {
        format!("{}-{}", self.chart, self.chart_version)
    }

    /// The same as [`Done::manifest_digest`](crate::Done::manifest_digest).
    pub fn manifest_digest(&self) -> String {
        let digest = Sha256::digest(self.manifest.as_bytes());
        digest
            .iter()
            .fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    }
}

impl std::fmt::Debug for Revision {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Revision")
            .field("head", &self.head)
            .field("chart", &self.chart_name())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(labels: &[(&str, &str)]) -> ObjectMeta {
        ObjectMeta {
            namespace: Some("shop".into()),
            labels: Some(
                labels
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            ),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn labels_tell_what_a_revision_is() {
        let head = RevisionHead::of(&metadata(&[
            ("owner", "helm"),
            ("name", "web"),
            ("version", "3"),
            ("status", "pending-upgrade"),
            ("modifiedAt", "1"),
            (SpecDigest::LABEL, "abc"),
        ]))
        .unwrap();
        assert_eq!(head.id, ReleaseId::new("shop", "web"));
        assert_eq!((head.revision, head.status), (3, ReleaseStatus::PendingUpgrade));
        assert_eq!(head.spec_digest, Some(SpecDigest::from_label("abc")));
        assert_eq!(head.labels.keys().collect::<Vec<_>>(), [SpecDigest::LABEL]);
    }

    #[test]
    fn other_secrets_are_no_revisions() {
        for labels in [
            &[][..],
            &[
                ("owner", "flux"),
                ("name", "web"),
                ("version", "1"),
                ("status", "deployed"),
            ],
            &[
                ("owner", "helm"),
                ("name", "web"),
                ("version", "one"),
                ("status", "deployed"),
            ],
            &[("owner", "helm"), ("name", "web"), ("status", "deployed")],
        ] {
            assert_eq!(RevisionHead::of(&metadata(labels)), None, "{labels:?}");
        }
    }
}
