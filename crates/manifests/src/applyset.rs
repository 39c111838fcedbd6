//! What is sent to the API server: the manifest, and the labels that make it a member of the environment's ApplySet (KEP-3659).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{labels, parse::Object};

/// The object that stands for an environment as an ApplySet (KEP-3659): a Secret of this name in its namespace.
pub const APPLYSET_PARENT: &str = "c7n-environment";

/// The id of an ApplySet whose parent object has this name, namespace (empty for cluster scope), kind and group (KEP-3659).
pub fn applyset_id(name: &str, namespace: &str, kind: &str, group: &str) -> String {
    let hash = Sha256::digest(format!("{name}.{namespace}.{kind}.{group}"));
    format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(hash))
}

/// Metadata that the API server sets. Exported manifests carry it, and applying it would fail or conflict.
pub(crate) const SERVER_METADATA: [&str; 6] = [
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The JSON for server-side apply. `status` and what the server sets itself are left out; they are not Git's to say.
///
/// `env` must be a label value: at most 63 letters, digits, `-`, `_`, `.`.
pub fn decorate(object: &Object, env: &str, file: &str, commit: &str, applyset_id: &str) -> Value {
    let mut value = object.value.clone();
    let Some(root) = value.as_object_mut() else {
        return value;
    };
    root.remove("status");
    let Some(metadata) = root
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
    else {
        return value;
    };
    for field in SERVER_METADATA {
        metadata.remove(field);
    }
    let mut put = |field: &str, entries: &[(&str, &str)]| {
        let slot = metadata.entry(field).or_insert(Value::Null);
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        if let Some(map) = slot.as_object_mut() {
            map.extend(
                entries
                    .iter()
                    .map(|(key, text)| ((*key).to_owned(), Value::from(*text))),
            );
        }
    };
    put("labels", &[(labels::ENV, env), (labels::PART_OF, applyset_id)]);
    let digest = object.digest.to_string();
    put(
        "annotations",
        &[
            (labels::FILE, file),
            (labels::COMMIT, commit),
            (labels::MANIFEST_DIGEST, &digest),
        ],
    );
    value
}
