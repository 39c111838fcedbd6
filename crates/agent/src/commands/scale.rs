//! Scale: sets the number of replicas, unless Git says what it is.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::hands::{FIELD_MANAGER, Target, explain};
use super::order::OrderResult;
use crate::cluster::deadline;

/// Setting the same number twice is the same as once.
pub(super) async fn scale(target: Target<'_>, replicas: u32) -> Result<OrderResult, String> {
    let object = target.object;
    if !target.kind.has_subresource("scale") {
        return Err(format!("{object} has no replicas to scale"));
    }
    let found = deadline("an object", target.api.get_metadata(&object.name))
        .await
        .map_err(|error| explain(object, &error))?;
    if found
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .any(git_sets_replicas)
    {
        return Err(format!(
            "the number of replicas of {object} is written in Git, and would be put back at once; change spec.replicas \
             there, or take it out of the file to scale by hand"
        ));
    }
    let patch = json!({ "spec": { "replicas": replicas } });
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(&patch);
    deadline("a scale", target.api.patch_scale(&object.name, &params, &patch))
        .await
        .map_err(|error| explain(object, &error))?;
    Ok(OrderResult::succeeded(format!(
        "{object} is scaled to {replicas}"
    )))
}

fn git_sets_replicas(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(c7n_manifests::labels::FIELD_MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry
            .fields_v1
            .as_ref()
            .is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;

    use super::*;

    fn entry(manager: &str, fields: serde_json::Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.into()),
            operation: Some("Apply".into()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }
    }

    #[test]
    fn only_what_delivery_applied_counts_as_written_in_git() {
        let replicas = json!({ "f:spec": { "f:replicas": {} } });
        assert!(git_sets_replicas(&entry("c7n-agent", replicas.clone())));
        assert!(!git_sets_replicas(&entry("c7n-command", replicas)));
        assert!(!git_sets_replicas(&entry(
            "c7n-agent",
            json!({ "f:spec": { "f:template": {} } })
        )));
    }
}
