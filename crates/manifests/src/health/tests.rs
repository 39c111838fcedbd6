use serde_json::{Value, json};

use super::*;

fn check(object: Value, status: HealthStatus, message: &str) {
    let found = health(&object);
    assert_eq!(found.status, status, "{object}: {found:?}");
    assert!(
        found.message.contains(message),
        "`{}` does not say `{message}`",
        found.message
    );
}

fn of(api: &str, kind: &str, rest: Value) -> Value {
    let mut object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": "x", "generation": 2}});
    for (key, value) in rest.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

#[test]
fn deployments() {
    use HealthStatus::*;
    let of = |status: Value| {
        of(
            "apps/v1",
            "Deployment",
            json!({"spec": {"replicas": 3}, "status": status}),
        )
    };
    let seen = |rest: Value| {
        let mut status = json!({"observedGeneration": 2});
        status
            .as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        of(status)
    };
    check(of(json!({})), Progressing, "not seen");
    check(
        of(json!({"observedGeneration": 1})),
        Progressing,
        "not seen the newest",
    );
    check(
        seen(json!({"replicas": 3, "updatedReplicas": 1})),
        Progressing,
        "1 of 3 replicas are updated",
    );
    check(
        seen(json!({"replicas": 4, "updatedReplicas": 3, "availableReplicas": 3})),
        Progressing,
        "1 old",
    );
    check(
        seen(json!({"replicas": 3, "updatedReplicas": 3, "availableReplicas": 2})),
        Progressing,
        "2 of 3 replicas are available",
    );
    check(
        seen(json!({"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3})),
        Healthy,
        "",
    );
    check(
        seen(
            json!({"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"}]}),
        ),
        Degraded,
        "too slow",
    );
    check(
        seen(
            json!({"conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}]}),
        ),
        Degraded,
        "exceeded quota",
    );
}

#[test]
fn pods() {
    use HealthStatus::*;
    let of = |status: Value| of("v1", "Pod", json!({"status": status}));
    check(of(json!({"phase": "Pending"})), Progressing, "not started");
    check(of(json!({"phase": "Succeeded"})), Healthy, "");
    check(
        of(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})),
        Healthy,
        "",
    );
    check(
        of(
            json!({"phase": "Pending", "containerStatuses": [{"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\""}}}]}),
        ),
        Degraded,
        "container web: ImagePullBackOff: Back-off pulling image",
    );
    check(
        of(
            json!({"phase": "Running", "containerStatuses": [{"name": "web", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 3}}}]}),
        ),
        Degraded,
        "4 restarts, last with exit code 3",
    );
    check(
        of(
            json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]}),
        ),
        Degraded,
        "0/1 nodes",
    );
    check(
        of(
            json!({"phase": "Failed", "containerStatuses": [{"name": "job", "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}]}),
        ),
        Degraded,
        "container job ended with exit code 2",
    );
    check(
        of(
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [{"name": "web", "ready": false, "state": {"running": {}}}]}),
        ),
        Progressing,
        "container web is not ready",
    );
}

#[test]
fn other_kinds() {
    use HealthStatus::*;
    check(of("v1", "ConfigMap", json!({})), Healthy, "");
    check(
        of("v1", "Service", json!({"spec": {"type": "LoadBalancer"}})),
        Progressing,
        "load balancer",
    );
    check(
        of(
            "v1",
            "PersistentVolumeClaim",
            json!({"status": {"phase": "Pending"}}),
        ),
        Progressing,
        "no volume",
    );
    check(
        of(
            "v1",
            "PersistentVolumeClaim",
            json!({"status": {"phase": "Lost"}}),
        ),
        Degraded,
        "lost",
    );
    check(
        of("batch/v1", "CronJob", json!({"spec": {"suspend": true}})),
        Suspended,
        "suspended",
    );
    check(
        of(
            "batch/v1",
            "Job",
            json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}}),
        ),
        Healthy,
        "",
    );
    check(
        of(
            "batch/v1",
            "Job",
            json!({"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}}),
        ),
        Degraded,
        "BackoffLimitExceeded",
    );
    check(
        of(
            "apps/v1",
            "DaemonSet",
            json!({"status": {"observedGeneration": 2, "desiredNumberScheduled": 2, "numberReady": 1, "updatedNumberScheduled": 2}}),
        ),
        Progressing,
        "1 of 2",
    );
    check(
        of(
            "apps/v1",
            "StatefulSet",
            json!({"spec": {"replicas": 2}, "status": {"observedGeneration": 2, "readyReplicas": 2, "currentRevision": "a", "updateRevision": "b", "updatedReplicas": 1}}),
        ),
        Progressing,
        "1 of 2 replicas are updated",
    );
    check(
        of("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({})),
        Progressing,
        "not established",
    );
    check(
        of(
            "example.com/v1",
            "Thing",
            json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Wait", "message": "soon"}]}}),
        ),
        Progressing,
        "Wait: soon",
    );
    check(
        of(
            "example.com/v1",
            "Thing",
            json!({"status": {"conditions": [{"type": "Stalled", "status": "True", "reason": "Bad"}]}}),
        ),
        Degraded,
        "Bad",
    );
    check(
        of(
            "example.com/v1",
            "Thing",
            json!({"status": {"observedGeneration": 1}}),
        ),
        Progressing,
        "newest",
    );
    check(
        json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        Progressing,
        "being deleted",
    );
}
