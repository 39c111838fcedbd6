//! One object, as far as the controller must know it. Pure.

use c7n_helm::ReleaseId;
use c7n_manifests::labels;
use kube::core::DynamicObject;
use serde_json::Value;

use super::crd::FINALIZER;
use super::plan::Finalizer;
use super::spec::{SpecError, Wish};
use super::status::Status;

#[derive(Clone)]
pub struct Release {
    pub id: ReleaseId,
    pub uid: String,
    pub generation: i64,
    /// Since when it is being deleted.
    pub deleting_since_ms: Option<i64>,
    pub finalizer: Finalizer,
    /// The commit that the object was applied from; empty where nobody knows.
    pub commit: String,
    pub wish: Result<Wish, SpecError>,
    pub status: Status,
}

impl Release {
    /// `None` for what has no name or namespace.
    pub fn read(object: &DynamicObject) -> Option<Self> {
        let metadata = &object.metadata;
        let commit = metadata
            .annotations
            .as_ref()
            .and_then(|known| known.get(labels::COMMIT))
            .cloned();
        let ours = metadata
            .finalizers
            .as_ref()
            .is_some_and(|known| known.iter().any(|it| it == FINALIZER));
        Some(Self {
            id: ReleaseId::new(metadata.namespace.clone()?, metadata.name.clone()?),
            uid: metadata.uid.clone().unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            deleting_since_ms: metadata
                .deletion_timestamp
                .as_ref()
                .map(|since| since.0.as_millisecond()),
            finalizer: if ours {
                Finalizer::Present
            } else {
                Finalizer::Absent
            },
            commit: commit.unwrap_or_default(),
            wish: Wish::read(object.data.get("spec").unwrap_or(&Value::Null)),
            status: Status::read(object.data.get("status").unwrap_or(&Value::Null)),
        })
    }

    /// The same without its values, which can be large: enough to decide, and asked for anew before anything is done.
    pub fn without_values(mut self) -> Self {
        if let Ok(wish) = &mut self.wish {
            wish.values = String::new();
        }
        self
    }
}
