//! Controllers of pods: all of them wait until the wanted number of current pods is available.

use serde_json::Value;

use super::{
    Health,
    conditions::{condition, explain, is, not_observed, number},
};

pub(super) fn deployment(object: &Value) -> Health {
    if let Some(waiting) = unseen(object) {
        return waiting;
    }
    if let Some(progress) =
        condition(object, "Progressing").filter(|c| c["reason"] == "ProgressDeadlineExceeded")
    {
        return Health::degraded(explain(progress));
    }
    if let Some(failure) = condition(object, "ReplicaFailure").filter(|c| c["status"] == "True") {
        return Health::degraded(explain(failure));
    }
    if object["spec"]["paused"] == true {
        return Health::suspended("the rollout is paused");
    }
    let wanted = wanted(object);
    let status = &object["status"];
    let (total, updated) = (number(&status["replicas"]), number(&status["updatedReplicas"]));
    let (ready, available) = (
        number(&status["readyReplicas"]),
        number(&status["availableReplicas"]),
    );
    if updated < wanted {
        return Health::progressing(format!("{updated} of {wanted} replicas updated"));
    }
    if total > updated {
        return Health::progressing(format!("{} old replicas still to end", total - updated));
    }
    if ready < wanted {
        return Health::progressing(format!("{ready} of {wanted} replicas ready"));
    }
    if available < wanted {
        return Health::progressing(format!("{available} of {wanted} replicas available"));
    }
    if is(object, "Available", "False") {
        return Health::progressing("not yet available");
    }
    Health::healthy()
}

pub(super) fn stateful_set(object: &Value) -> Health {
    if let Some(waiting) = unseen(object) {
        return waiting;
    }
    let wanted = wanted(object);
    let status = &object["status"];
    let (total, ready) = (number(&status["replicas"]), number(&status["readyReplicas"]));
    if total < wanted {
        return Health::progressing(format!("{total} of {wanted} replicas made"));
    }
    if ready < wanted {
        return Health::progressing(format!("{ready} of {wanted} replicas ready"));
    }
    if total > wanted {
        return Health::progressing(format!("{} replicas still to end", total - wanted));
    }
    let strategy = &object["spec"]["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        return Health::healthy();
    }
    let updated = number(&status["updatedReplicas"]);
    let partition = number(&strategy["rollingUpdate"]["partition"]);
    if partition > 0 {
        let due = (wanted - partition).max(0);
        return if updated < due {
            Health::progressing(format!("{updated} of {due} replicas above the partition updated"))
        } else {
            Health::healthy()
        };
    }
    let revisions = (
        status["updateRevision"].as_str(),
        status["currentRevision"].as_str(),
    );
    if let (Some(update), Some(current)) = revisions
        && update != current
    {
        return Health::progressing(format!("{updated} of {wanted} replicas updated"));
    }
    Health::healthy()
}

pub(super) fn daemon_set(object: &Value) -> Health {
    if let Some(waiting) = unseen(object) {
        return waiting;
    }
    let status = &object["status"];
    let Some(wanted) = status["desiredNumberScheduled"].as_i64() else {
        return Health::progressing("not yet scheduled");
    };
    let scheduled = number(&status["currentNumberScheduled"]);
    if scheduled < wanted {
        return Health::progressing(format!("on {scheduled} of {wanted} nodes"));
    }
    let updated = number(&status["updatedNumberScheduled"]);
    if updated < wanted && object["spec"]["updateStrategy"]["type"] != "OnDelete" {
        return Health::progressing(format!("updated on {updated} of {wanted} nodes"));
    }
    let ready = number(&status["numberReady"]);
    if ready < wanted {
        return Health::progressing(format!("ready on {ready} of {wanted} nodes"));
    }
    let available = number(&status["numberAvailable"]);
    if available < wanted {
        return Health::progressing(format!("available on {available} of {wanted} nodes"));
    }
    Health::healthy()
}

pub(super) fn replica_set(object: &Value) -> Health {
    if let Some(waiting) = unseen(object) {
        return waiting;
    }
    if let Some(failure) = condition(object, "ReplicaFailure").filter(|c| c["status"] == "True") {
        return Health::degraded(explain(failure));
    }
    let wanted = wanted(object);
    let status = &object["status"];
    let (total, ready) = (number(&status["replicas"]), number(&status["readyReplicas"]));
    let available = number(&status["availableReplicas"]);
    if total > wanted {
        return Health::progressing(format!("{} replicas still to end", total - wanted));
    }
    if ready < wanted {
        return Health::progressing(format!("{ready} of {wanted} replicas ready"));
    }
    if available < wanted {
        return Health::progressing(format!("{available} of {wanted} replicas available"));
    }
    Health::healthy()
}

/// These kinds always report `observedGeneration`; without it the controller has not come by at all.
fn unseen(object: &Value) -> Option<Health> {
    not_observed(object).or_else(|| {
        let silent =
            object["status"]["observedGeneration"].is_null() && !object["metadata"]["generation"].is_null();
        silent.then(|| Health::progressing("not yet seen by its controller"))
    })
}

fn wanted(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}
