//! Drift field by field: which fields of a manifest are not ours any more in the live object, and whose they are now.

use serde::Serialize;
use serde_json::Value;

use crate::{FieldPath, labels, ownership::owned_fields, uncovered_fields};

/// More than this nobody reads.
const SHOWN: usize = 20;

/// A field that the manifest sets and that is no longer ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DriftedField {
    /// `.spec.template.spec.containers[name="web"].image`
    pub field: String,
    /// Who has set it since; `None` when nobody owns it, because it was taken out.
    pub by: Option<Manager>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Manager {
    pub name: String,
    /// RFC 3339; of the last change by this manager.
    pub time: String,
}

/// The fields in the order of the manifest, at most twenty.
pub fn drifted_fields(manifest: &Value, live: &Value) -> Vec<DriftedField> {
    let ours = owned_fields(live).unwrap_or(&Value::Null);
    uncovered_fields(manifest, ours)
        .iter()
        .take(SHOWN)
        .map(|path| DriftedField {
            field: path.to_string(),
            by: owner(live, path),
        })
        .collect()
}

/// The manager who set it last.
fn owner(live: &Value, path: &FieldPath<'_>) -> Option<Manager> {
    let entries = live["metadata"]["managedFields"].as_array()?;
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    entries
        .iter()
        .filter(|entry| !(entry["manager"] == labels::FIELD_MANAGER && entry["operation"] == "Apply"))
        .filter(|entry| path.is_in(&entry["fieldsV1"]))
        .map(|entry| Manager {
            name: text(entry, "manager"),
            time: text(entry, "time"),
        })
        .max_by(|a, b| a.time.cmp(&b.time))
}
