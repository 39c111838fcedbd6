//! Every label and annotation the product writes. The names are part of its contract with clusters: never change one.

/// Label: the environment an object belongs to.
pub const ENV: &str = "choerodon.io/env";
/// Label: the Helm release that made an object.
pub const RELEASE: &str = "choerodon.io/release";
/// Annotation: the file the object came from.
pub const FILE: &str = "choerodon.io/file";
/// Annotation: the commit whose apply last wrote the object.
pub const COMMIT: &str = "choerodon.io/commit";
/// Annotation: [`ManifestDigest`](crate::ManifestDigest) of the manifest last applied.
pub const MANIFEST_DIGEST: &str = "choerodon.io/manifest-digest";

/// Label of a member of an ApplySet: the id of its parent (KEP-3659).
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// Label of the parent of an ApplySet.
pub const APPLYSET_ID: &str = "applyset.kubernetes.io/id";
/// Annotation of the parent: which tool manages the set.
pub const APPLYSET_TOOLING: &str = "applyset.kubernetes.io/tooling";
/// Annotation of the parent: the kinds its members have.
pub const APPLYSET_GROUP_KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";

/// Annotation of the parent: the deletions that a person was asked about and has not answered.
pub const HELD_DELETIONS: &str = "choerodon.io/held-deletions";

/// The field manager of every write. Changing it would orphan the fields of every object already applied.
pub const FIELD_MANAGER: &str = "c7n-agent";

/// Whether a manifest may not set this label or annotation because the product decides it.
pub fn is_reserved(key: &str) -> bool {
    key.starts_with("applyset.kubernetes.io/") || [ENV, RELEASE, FILE, COMMIT, MANIFEST_DIGEST].contains(&key)
}
