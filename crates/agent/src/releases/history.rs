//! What Helm's storage says of a release, read from the labels of its Secrets alone. Pure.
//!
//! Helm keeps each revision in a Secret of type `helm.sh/release.v1`, and its state in labels, so that lists need no
//! contents; labels of the release's own, as our digest, are there as well.

use std::collections::BTreeMap;

use c7n_helm::storage::RevisionHead;
use c7n_helm::{ReleaseId, ReleaseStatus, SpecDigest};
use kube::core::ObjectMeta;

/// One revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    pub number: u32,
    pub status: ReleaseStatus,
    /// Absent where plain `helm` made it.
    pub digest: Option<SpecDigest>,
    /// When the Secret was made; 0 if that is not known.
    pub made_ms: i64,
}

impl Revision {
    /// Was deployed once, and so can be rolled back to.
    pub fn was_good(&self) -> bool {
        matches!(self.status, ReleaseStatus::Deployed | ReleaseStatus::Superseded)
    }
}

/// The release and the revision of it that the Secret holds; `None` if it is none of Helm's.
pub fn read(metadata: &ObjectMeta) -> Option<(ReleaseId, Revision)> {
    let head = RevisionHead::of(metadata)?;
    let made = metadata.creation_timestamp.as_ref();
    let revision = Revision {
        number: head.revision,
        status: head.status,
        digest: head.spec_digest,
        made_ms: made.map_or(0, |time| time.0.as_millisecond()),
    };
    Some((head.id, revision))
}

/// All revisions of one release, by number.
pub type History = BTreeMap<u32, Revision>;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_revision_is_read_from_labels_and_other_secrets_are_none() {
        let metadata: ObjectMeta = serde_json::from_value(json!({
            "name": "sh.helm.release.v1.web.v7", "namespace": "shop",
            "labels": { "owner": "helm", "name": "web", "version": "7", "status": "pending-upgrade", SpecDigest::LABEL: "abc" },
        }))
        .unwrap();
        let (id, revision) = read(&metadata).unwrap();
        assert_eq!(id, ReleaseId::new("shop", "web"));
        assert_eq!(revision.number, 7);
        assert_eq!(revision.status, ReleaseStatus::PendingUpgrade);
        assert_eq!(revision.digest.unwrap().as_str(), "abc");

        assert!(read(&ObjectMeta::default()).is_none());
    }
}
