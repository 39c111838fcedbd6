//! Restart: rolls a workload's pods, as `kubectl rollout restart` does.

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::hands::{FIELD_MANAGER, Target, explain};
use super::order::OrderResult;
use crate::cluster::deadline;

/// The annotation that kubectl writes. Its value is when the order was given: carried out twice, it changes nothing.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

pub(super) async fn restart(target: Target<'_>, created_ms: i64) -> Result<OrderResult, String> {
    let (object, kind) = (target.object, &target.object.kind);
    if kind.group != "apps" || !["Deployment", "StatefulSet", "DaemonSet"].contains(&kind.kind.as_str()) {
        return Err(format!(
            "{object} cannot be restarted; give a Deployment, StatefulSet or DaemonSet"
        ));
    }
    let at = Timestamp::from_millisecond(created_ms).map_err(|_| "the order has no time".to_owned())?;
    let found = deadline("an object", target.api.get(&object.name))
        .await
        .map_err(|error| explain(object, &error))?;
    if found
        .data
        .pointer("/spec/paused")
        .and_then(serde_json::Value::as_bool)
        == Some(true)
    {
        return Err(format!(
            "{object} is paused, so that its pods stay; resume it in Git (spec.paused) first"
        ));
    }
    let patch = json!({ "spec": { "template": { "metadata": { "annotations": { RESTARTED_AT: at.to_string() } } } } });
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(&patch);
    deadline("a restart", target.api.patch(&object.name, &params, &patch))
        .await
        .map_err(|error| explain(object, &error))?;
    Ok(OrderResult::succeeded(format!("{object} is being rolled")))
}
