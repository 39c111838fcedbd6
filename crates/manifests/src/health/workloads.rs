use serde_json::Value;

use super::generic::observed;
use super::{Health, HealthStatus, condition, number, text, told};

pub(super) fn deployment(object: &Value) -> Health {
    if let Some(health) = unseen(object) {
        return health;
    }
    if let Some((_, "ProgressDeadlineExceeded", message)) = condition(object, "Progressing") {
        return Health::degraded(told("ProgressDeadlineExceeded", message));
    }
    if let Some(("True", reason, message)) = condition(object, "ReplicaFailure") {
        return Health::degraded(told(reason, message));
    }
    if object.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        return Health::new(HealthStatus::Suspended, "the rollout is paused");
    }
    let wanted = wanted_replicas(object);
    let updated = number(object, "/status/updatedReplicas");
    let total = number(object, "/status/replicas");
    let available = number(object, "/status/availableReplicas");
    if updated < wanted {
        Health::progressing(format!("{updated} of {wanted} replicas are updated"))
    } else if total > updated {
        Health::progressing(format!("{} old replicas are still to end", total - updated))
    } else if available < wanted {
        Health::progressing(format!("{available} of {wanted} replicas are available"))
    } else {
        Health::healthy()
    }
}

pub(super) fn stateful_set(object: &Value) -> Health {
    if let Some(health) = unseen(object) {
        return health;
    }
    let wanted = wanted_replicas(object);
    let ready = number(object, "/status/readyReplicas");
    if ready < wanted {
        return Health::progressing(format!("{ready} of {wanted} replicas are ready"));
    }
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Health::healthy();
    }
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    let updated = number(object, "/status/updatedReplicas");
    if text(object, "/status/currentRevision") != text(object, "/status/updateRevision")
        && updated < wanted - partition
    {
        return Health::progressing(format!(
            "{updated} of {} replicas are updated",
            wanted - partition
        ));
    }
    Health::healthy()
}

pub(super) fn daemon_set(object: &Value) -> Health {
    if let Some(health) = unseen(object) {
        return health;
    }
    let wanted = number(object, "/status/desiredNumberScheduled");
    let ready = number(object, "/status/numberReady");
    let updated = number(object, "/status/updatedNumberScheduled");
    if updated < wanted && text(object, "/spec/updateStrategy/type") != "OnDelete" {
        Health::progressing(format!("{updated} of {wanted} pods are updated"))
    } else if ready < wanted {
        Health::progressing(format!("{ready} of {wanted} pods are ready"))
    } else {
        Health::healthy()
    }
}

pub(super) fn replica_set(object: &Value) -> Health {
    if let Some(health) = unseen(object) {
        return health;
    }
    if let Some(("True", reason, message)) = condition(object, "ReplicaFailure") {
        return Health::degraded(told(reason, message));
    }
    let wanted = wanted_replicas(object);
    let ready = number(object, "/status/readyReplicas");
    if ready < wanted {
        Health::progressing(format!("{ready} of {wanted} replicas are ready"))
    } else {
        Health::healthy()
    }
}

pub(super) fn job(object: &Value) -> Health {
    if let Some(("True", reason, message)) = condition(object, "Failed") {
        return Health::degraded(told(reason, message));
    }
    if let Some(("True", ..)) = condition(object, "Complete") {
        return Health::healthy();
    }
    if object.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        return Health::new(HealthStatus::Suspended, "the job is suspended");
    }
    let (active, failed) = (number(object, "/status/active"), number(object, "/status/failed"));
    match failed {
        0 => Health::progressing(format!("{active} pods are running")),
        failed => Health::progressing(format!("{active} pods are running, {failed} have failed")),
    }
}

pub(super) fn cron_job(object: &Value) -> Health {
    match object.pointer("/spec/suspend") {
        Some(Value::Bool(true)) => Health::new(HealthStatus::Suspended, "the schedule is suspended"),
        _ => Health::healthy(),
    }
}

/// Absent means one.
fn wanted_replicas(object: &Value) -> i64 {
    object
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        .unwrap_or(1)
}

/// A workload without a status was not looked at by its controller.
fn unseen(object: &Value) -> Option<Health> {
    if object.pointer("/status/observedGeneration").is_none() {
        return Some(Health::progressing("the controller has not seen it yet"));
    }
    observed(object)
}
