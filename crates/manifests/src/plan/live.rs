//! What a cluster has, as far as a plan needs to know it.

use serde_json::Value;

use crate::{identity::ObjectId, labels};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    pub id: ObjectId,
    pub uid: String,
    /// The annotation that our last apply wrote.
    pub manifest_digest: Option<String>,
    /// The file that our last apply named.
    pub source_file: Option<String>,
    pub owner: Ownership,
    pub drift: Drift,
    pub lifecycle: Lifecycle,
    /// Another object that manages this one. Controllers copy labels to what they make, the ApplySet's too
    /// (a Service's to its EndpointSlices); such copies are never pruned.
    pub controller: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// Part of this environment's ApplySet.
    Ours,
    Unowned,
    /// Part of the ApplySet of this id.
    Other(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    InSync,
    /// Someone else changed a field that the manifest sets.
    Drifted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    Present,
    Deleting,
}

impl Live {
    /// Reads an object or its metadata as the API server gives it; `None` without kind or name.
    ///
    /// `drift` comes from [`drift`](crate::drift), which needs the manifest and `managedFields`.
    pub fn from_object(object: &Value, applyset_id: &str, drift: Drift) -> Option<Self> {
        let metadata = &object["metadata"];
        let api_version = object["apiVersion"].as_str()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let annotation = |key: &str| text(&metadata["annotations"][key]);
        let owner = match metadata["labels"][labels::PART_OF].as_str() {
            Some(set) if set == applyset_id => Ownership::Ours,
            Some(set) => Ownership::Other(set.to_owned()),
            None => Ownership::Unowned,
        };
        let controller = metadata["ownerReferences"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|reference| reference["controller"] == true)
            .map(|reference| {
                format!(
                    "{} {}",
                    reference["kind"].as_str().unwrap_or_default(),
                    reference["name"].as_str().unwrap_or_default()
                )
            });
        Some(Self {
            id: ObjectId {
                group: api_version
                    .split_once('/')
                    .map_or("", |(group, _)| group)
                    .to_owned(),
                kind: text(&object["kind"])?,
                namespace: text(&metadata["namespace"]),
                name: text(&metadata["name"])?,
            },
            uid: text(&metadata["uid"]).unwrap_or_default(),
            manifest_digest: annotation(labels::MANIFEST_DIGEST),
            source_file: annotation(labels::FILE),
            owner,
            drift,
            lifecycle: if metadata["deletionTimestamp"].is_null() {
                Lifecycle::Present
            } else {
                Lifecycle::Deleting
            },
            controller,
        })
    }
}
