//! Drift, read from `managedFields`: when someone else edits a field, the API server takes it out of our entry. So coverage tells
//! what changed without comparing values, which the server normalises (`1000m` is `1`, defaults appear) in ways only it knows.
//!
//! The format of `fieldsV1` is the one of structured-merge-diff: `f:name`, `k:{"key":"value"}`, `v:value`, `.` for the node itself.

use serde_json::{Map, Value};

use crate::{applyset::SERVER_METADATA, identity::ManifestDigest, labels, plan::Drift};

/// Our entry of `metadata.managedFields`: that of an apply to the object itself, not to a subresource.
pub fn owned_fields(object: &Value) -> Option<&Value> {
    object["metadata"]["managedFields"]
        .as_array()?
        .iter()
        .find(|entry| {
            entry["manager"] == labels::FIELD_MANAGER
                && entry["operation"] == "Apply"
                && entry["subresource"].as_str().unwrap_or_default().is_empty()
        })
        .map(|entry| &entry["fieldsV1"])
}

/// Whether someone else changed what the manifest sets.
pub fn drift(manifest: &Value, live: &Value) -> Drift {
    match owned_fields(live) {
        Some(fields) if owned_fields_cover(manifest, fields) => Drift::InSync,
        _ => Drift::Drifted,
    }
}

/// A digest of the fields we own: as long as it is the same, coverage is the same.
pub fn owned_fields_digest(fields_v1: &Value) -> ManifestDigest {
    ManifestDigest::of(fields_v1)
}

/// Whether every leaf the manifest sets is in the set. What names the object is in no set, and `status` is not ours.
pub fn owned_fields_cover(manifest: &Value, fields_v1: &Value) -> bool {
    let (Some(root), Some(fields)) = (manifest.as_object(), fields_v1.as_object()) else {
        return false;
    };
    let is_secret = root.get("kind").is_some_and(|kind| kind == "Secret")
        && root.get("apiVersion").is_some_and(|v| v == "v1");
    root.iter().all(|(key, value)| match key.as_str() {
        "apiVersion" | "kind" | "status" => true,
        "metadata" => match value.as_object() {
            Some(metadata) => metadata_covered(metadata, fields.get("f:metadata")),
            None => true,
        },
        // The server moves every entry to `data` and forgets `stringData`.
        "stringData" if is_secret => {
            covered(value, fields.get("f:data")) || covered(value, fields.get("f:stringData"))
        }
        _ => covered(value, fields.get(&format!("f:{key}"))),
    })
}

fn metadata_covered(metadata: &Map<String, Value>, fields: Option<&Value>) -> bool {
    metadata
        .iter()
        .filter(|(key, _)| {
            !matches!(key.as_str(), "name" | "namespace") && !SERVER_METADATA.contains(&key.as_str())
        })
        .all(|(key, value)| covered(value, fields.and_then(|fields| fields.get(format!("f:{key}")))))
}

fn covered(value: &Value, fields: Option<&Value>) -> bool {
    // The server drops them, and nobody can own what is not there.
    if is_nothing(value) {
        return true;
    }
    let Some(fields) = fields.and_then(Value::as_object) else {
        return false;
    };
    // A leaf, or an atomic map, struct or list.
    if fields.is_empty() {
        return true;
    }
    match value {
        Value::Object(map) => map
            .iter()
            .all(|(key, value)| covered(value, fields.get(&format!("f:{key}")))),
        Value::Array(items) => items.iter().all(|item| item_covered(item, fields)),
        _ => true,
    }
}

/// An element of an associative list (`k:`), of a set (`v:`), or of a list by index (`i:`), which no schema of Kubernetes uses.
pub(crate) fn item_covered(item: &Value, fields: &Map<String, Value>) -> bool {
    fields.iter().any(|(path, inside)| {
        if let Some(key) = path.strip_prefix("k:") {
            let Ok(Value::Object(key)) = serde_json::from_str(key) else {
                return false;
            };
            // A key field the element leaves out was defaulted, as `protocol` of a port is.
            let matches = key
                .iter()
                .all(|(name, expected)| item.get(name).is_none_or(|found| found == expected));
            matches && item.is_object() && covered(item, Some(inside))
        } else if let Some(expected) = path.strip_prefix("v:") {
            serde_json::from_str::<Value>(expected).is_ok_and(|expected| expected == *item)
        } else {
            path.starts_with("i:") && covered(item, Some(inside))
        }
    })
}

pub(crate) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_nothing),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
