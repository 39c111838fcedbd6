//! What a person is told about a live object, kind by kind.

// clippy.toml allows it in tests, and does not count their helpers among them.
#![allow(clippy::unwrap_used)]

use c7n_manifests::{HealthStatus::*, health, state_digest, summary};
use serde_json::{Value, json};

fn object(api_version: &str, kind: &str, rest: Value) -> Value {
    let mut object =
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "generation": 2}});
    for (key, value) in rest.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!([{"type": kind, "status": status, "reason": reason, "message": message}])
}

#[test]
fn workloads() {
    let deployment =
        |spec: Value, status: Value| object("apps/v1", "Deployment", json!({"spec": spec, "status": status}));
    let done = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3});
    let with = |key: &str, value: Value| {
        let mut status = done.clone();
        status[key] = value;
        deployment(json!({"replicas": 3}), status)
    };
    let set = |spec: Value, status: Value| {
        object("apps/v1", "StatefulSet", json!({"spec": spec, "status": status}))
    };
    let daemon = |status: Value| object("apps/v1", "DaemonSet", json!({"status": status}));
    let table = [
        (deployment(json!({"replicas": 3}), done.clone()), Healthy, ""),
        (
            deployment(json!({}), json!({})),
            Progressing,
            "not yet seen by its controller",
        ),
        (
            deployment(json!({"replicas": 0}), json!({"observedGeneration": 2})),
            Healthy,
            "",
        ),
        (
            deployment(json!({"paused": true}), done.clone()),
            Suspended,
            "the rollout is paused",
        ),
        (
            with("observedGeneration", json!(1)),
            Progressing,
            "the latest change is not yet seen by its controller",
        ),
        (
            with("updatedReplicas", json!(1)),
            Progressing,
            "1 of 3 replicas updated",
        ),
        (
            with("replicas", json!(4)),
            Progressing,
            "1 old replicas still to end",
        ),
        (
            with("readyReplicas", json!(2)),
            Progressing,
            "2 of 3 replicas ready",
        ),
        (
            with("availableReplicas", json!(2)),
            Progressing,
            "2 of 3 replicas available",
        ),
        (
            with("conditions", condition("Available", "False", "", "")),
            Progressing,
            "not yet available",
        ),
        (
            with(
                "conditions",
                condition("Progressing", "False", "ProgressDeadlineExceeded", "timed out"),
            ),
            Degraded,
            "ProgressDeadlineExceeded: timed out",
        ),
        (
            with(
                "conditions",
                condition("ReplicaFailure", "True", "FailedCreate", "quota"),
            ),
            Degraded,
            "FailedCreate: quota",
        ),
        (
            set(
                json!({"replicas": 2}),
                json!({"observedGeneration": 2, "replicas": 1}),
            ),
            Progressing,
            "1 of 2 replicas made",
        ),
        (
            set(
                json!({"replicas": 2}),
                json!({"observedGeneration": 2, "replicas": 2, "readyReplicas": 1}),
            ),
            Progressing,
            "1 of 2 replicas ready",
        ),
        (
            set(
                json!({"replicas": 2}),
                json!({"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
            ),
            Progressing,
            "1 of 2 replicas updated",
        ),
        (
            set(
                json!({"replicas": 2, "updateStrategy": {"rollingUpdate": {"partition": 1}}}),
                json!({"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
            ),
            Healthy,
            "",
        ),
        (
            set(
                json!({}),
                json!({"observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "a"}),
            ),
            Healthy,
            "",
        ),
        (
            daemon(json!({"observedGeneration": 2})),
            Progressing,
            "not yet scheduled",
        ),
        (
            daemon(
                json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 1}),
            ),
            Progressing,
            "updated on 1 of 2 nodes",
        ),
        (
            daemon(
                json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 2, "numberReady": 1}),
            ),
            Progressing,
            "ready on 1 of 2 nodes",
        ),
        (
            daemon(json!({"observedGeneration": 2, "desiredNumberScheduled": 0})),
            Healthy,
            "",
        ),
        (
            object(
                "apps/v1",
                "ReplicaSet",
                json!({"spec": {"replicas": 1}, "status": {"observedGeneration": 2, "replicas": 1}}),
            ),
            Progressing,
            "0 of 1 replicas ready",
        ),
    ];
    check(&table);
}

#[test]
fn pods() {
    let pod = |phase: &str, status: Value| {
        let mut status = status;
        status["phase"] = phase.into();
        object("v1", "Pod", json!({"status": status}))
    };
    let waiting = |reason: &str, message: &str| {
        json!({"containerStatuses": [{"name": "web", "ready": false, "state": {"waiting": {"reason": reason, "message": message}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]})
    };
    let table = [
        (
            pod(
                "Running",
                json!({"conditions": condition("Ready", "True", "", "")}),
            ),
            Healthy,
            "",
        ),
        (pod("Succeeded", json!({})), Healthy, ""),
        (pod("Unknown", json!({})), Unknown, "its node does not answer"),
        (object("v1", "Pod", json!({})), Progressing, "not yet scheduled"),
        (pod("Pending", json!({})), Progressing, "starting"),
        (
            pod("Pending", waiting("ContainerCreating", "")),
            Progressing,
            "container web: ContainerCreating",
        ),
        (
            pod(
                "Pending",
                json!({"conditions": condition("PodScheduled", "False", "Unschedulable", "0/1 nodes fit")}),
            ),
            Degraded,
            "Unschedulable: 0/1 nodes fit",
        ),
        (
            pod("Running", waiting("CrashLoopBackOff", "back-off 10s")),
            Degraded,
            "container web: CrashLoopBackOff: back-off 10s (last ended with Error, exit code 1)",
        ),
        (
            pod(
                "Pending",
                json!({"containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "ErrImagePull"}}}]}),
            ),
            Degraded,
            "container a: ErrImagePull",
        ),
        (
            pod(
                "Pending",
                json!({"initContainerStatuses": [{"name": "init", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}),
            ),
            Degraded,
            "container init: ImagePullBackOff",
        ),
        (
            pod(
                "Pending",
                json!({"containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "CreateContainerConfigError", "message": "secret \"s\" not found"}}}]}),
            ),
            Degraded,
            "container a: CreateContainerConfigError: secret \"s\" not found",
        ),
        (
            pod(
                "Running",
                json!({"containerStatuses": [{"name": "a", "ready": false, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}),
            ),
            Degraded,
            "container a: ended with OOMKilled, exit code 137",
        ),
        (
            pod(
                "Running",
                json!({"containerStatuses": [{"name": "a", "ready": true}, {"name": "b", "ready": false, "state": {"running": {}}}], "conditions": condition("Ready", "False", "ContainersNotReady", "")}),
            ),
            Progressing,
            "not ready: container b",
        ),
        (
            pod("Failed", json!({"reason": "Evicted", "message": "disk"})),
            Degraded,
            "Evicted: disk",
        ),
        (
            pod(
                "Failed",
                json!({"containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 2}}}]}),
            ),
            Degraded,
            "container a: ended with exit code 2",
        ),
    ];
    check(&table);
}

#[test]
fn everything_else() {
    let status = |api: &str, kind: &str, status: Value| object(api, kind, json!({"status": status}));
    let conditions = |api: &str, kind: &str, c: Value| status(api, kind, json!({"conditions": c}));
    let table = [
        (Value::Null, Missing, "not in the cluster"),
        (json!({}), Unknown, "has no kind"),
        (
            object(
                "v1",
                "ConfigMap",
                json!({"metadata": {"deletionTimestamp": "t", "finalizers": ["a/b"]}}),
            ),
            Progressing,
            "being deleted; waits for a/b",
        ),
        (object("v1", "ConfigMap", json!({})), Healthy, ""),
        (
            conditions(
                "batch/v1",
                "Job",
                condition("Failed", "True", "BackoffLimitExceeded", "too often"),
            ),
            Degraded,
            "BackoffLimitExceeded: too often",
        ),
        (
            conditions("batch/v1", "Job", condition("Complete", "True", "", "")),
            Healthy,
            "",
        ),
        (
            status("batch/v1", "Job", json!({"active": 1, "failed": 2})),
            Progressing,
            "0 of 1 done, 1 running, 2 failed",
        ),
        (
            object("batch/v1", "Job", json!({"spec": {"suspend": true}})),
            Suspended,
            "the job is suspended",
        ),
        (
            object("batch/v1", "CronJob", json!({"spec": {"suspend": true}})),
            Suspended,
            "the schedule is suspended",
        ),
        (object("batch/v1", "CronJob", json!({})), Healthy, ""),
        (
            object("v1", "Service", json!({"spec": {"type": "ClusterIP"}})),
            Healthy,
            "",
        ),
        (
            object("v1", "Service", json!({"spec": {"type": "LoadBalancer"}})),
            Progressing,
            "waits for the address of a load balancer",
        ),
        (
            object(
                "v1",
                "Service",
                json!({"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}}),
            ),
            Healthy,
            "",
        ),
        (
            object("networking.k8s.io/v1", "Ingress", json!({})),
            Healthy,
            "no address reported",
        ),
        (
            status("v1", "PersistentVolumeClaim", json!({"phase": "Bound"})),
            Healthy,
            "",
        ),
        (
            status("v1", "PersistentVolumeClaim", json!({"phase": "Pending"})),
            Progressing,
            "waits for a volume",
        ),
        (
            status("v1", "PersistentVolumeClaim", json!({"phase": "Lost"})),
            Degraded,
            "its volume is lost",
        ),
        (
            status("v1", "PersistentVolume", json!({"phase": "Failed"})),
            Degraded,
            "could not be reclaimed",
        ),
        (
            status("v1", "Namespace", json!({"phase": "Terminating"})),
            Progressing,
            "being deleted",
        ),
        (status("v1", "Namespace", json!({"phase": "Active"})), Healthy, ""),
        (
            conditions(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                condition("Established", "True", "", ""),
            ),
            Healthy,
            "",
        ),
        (
            conditions(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                condition("NamesAccepted", "False", "Conflict", "taken"),
            ),
            Degraded,
            "Conflict: taken",
        ),
        (
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({})),
            Progressing,
            "not yet served",
        ),
        (
            conditions(
                "apiregistration.k8s.io/v1",
                "APIService",
                condition("Available", "False", "MissingEndpoints", ""),
            ),
            Degraded,
            "MissingEndpoints",
        ),
        (
            conditions(
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                condition("ScalingActive", "False", "FailedGetResourceMetric", "no metrics"),
            ),
            Degraded,
            "FailedGetResourceMetric: no metrics",
        ),
        (
            conditions(
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                condition("ScalingActive", "False", "ScalingDisabled", ""),
            ),
            Suspended,
            "ScalingDisabled",
        ),
        (
            conditions(
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                condition("AbleToScale", "True", "", ""),
            ),
            Healthy,
            "",
        ),
        (
            status(
                "policy/v1",
                "PodDisruptionBudget",
                json!({"observedGeneration": 2, "currentHealthy": 1, "desiredHealthy": 2}),
            ),
            Progressing,
            "1 of 2 pods healthy",
        ),
        (
            conditions("example.org/v1", "Thing", condition("Ready", "True", "", "")),
            Healthy,
            "",
        ),
        (
            conditions(
                "example.org/v1",
                "Thing",
                condition("Ready", "False", "Issuing", "wait"),
            ),
            Progressing,
            "Issuing: wait",
        ),
        (
            conditions(
                "example.org/v1",
                "Thing",
                condition("Stalled", "True", "BadSpec", "no"),
            ),
            Degraded,
            "BadSpec: no",
        ),
        (
            conditions(
                "example.org/v1",
                "Thing",
                condition("Reconciling", "True", "Busy", ""),
            ),
            Progressing,
            "Busy",
        ),
        (
            status("example.org/v1", "Thing", json!({"observedGeneration": 1})),
            Progressing,
            "the latest change is not yet seen by its controller",
        ),
        (
            object("example.org/v1", "Thing", json!({"spec": {"suspend": true}})),
            Suspended,
            "suspended",
        ),
    ];
    check(&table);
}

fn check(table: &[(Value, c7n_manifests::HealthStatus, &str)]) {
    for (object, status, message) in table {
        let found = health(object);
        assert_eq!(
            (found.status, found.message.as_str()),
            (*status, *message),
            "{object}"
        );
    }
}

#[test]
fn helm_releases() {
    let release = |status: Value| {
        object(
            "choerodon.io/v1alpha1",
            "C7NHelmRelease",
            json!({"spec": {}, "status": status}),
        )
    };
    let with = |phase: &str, conditions: Value| {
        release(json!({"observedGeneration": 2, "phase": phase, "conditions": conditions}))
    };
    let failed = json!([
        {"type": "Ready", "status": "False", "reason": "UpgradeFailed", "message": "hook migrate failed"},
        {"type": "Stalled", "status": "True", "reason": "UpgradeFailed", "message": "hook migrate failed"},
    ]);
    let drifted = json!([
        {"type": "Ready", "status": "True", "reason": "Deployed", "message": "as wanted"},
        {"type": "Drifted", "status": "True", "reason": "Changed", "message": "Service/web was deleted"},
    ]);
    check(&[
        (
            release(Value::Null),
            Progressing,
            "not yet seen by its controller",
        ),
        (
            with(
                "Upgrading",
                condition("Reconciling", "True", "Upgrading", "to web-2.0.0"),
            ),
            Progressing,
            "the release is being upgraded",
        ),
        (
            with("Deployed", condition("Ready", "True", "Deployed", "")),
            Healthy,
            "",
        ),
        (
            with("Stopped", condition("Ready", "True", "Stopped", "")),
            Suspended,
            "the release is stopped",
        ),
        (
            with("Failed", failed),
            Degraded,
            "UpgradeFailed: hook migrate failed",
        ),
        (
            with("Deployed", drifted),
            Healthy,
            "Changed: Service/web was deleted",
        ),
    ]);
}

#[test]
fn the_worst_of_many_is_the_greatest() {
    assert!(Healthy < Suspended && Suspended < Progressing && Progressing < Missing && Missing < Degraded);
}

#[test]
fn columns_of_every_kind() {
    let objects = [
        json!({"kind": "Deployment", "spec": {"replicas": 3, "template": {"spec": {"containers": [{"image": "b"}, {"image": "a"}]}}}, "status": {"readyReplicas": 2, "updatedReplicas": 3}}),
        json!({"kind": "DaemonSet", "status": {"desiredNumberScheduled": 2, "numberReady": 1}}),
        json!({"kind": "Pod", "spec": {"nodeName": "n1", "containers": [{"name": "web", "image": "a"}]}, "status": {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [{"ready": true, "restartCount": 4}]}}),
        json!({"kind": "Job", "status": {"succeeded": 1}}),
        json!({"kind": "CronJob", "spec": {"schedule": "* * * * *"}}),
        json!({"kind": "Service", "spec": {"type": "NodePort", "clusterIP": "10.0.0.2", "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]}}),
        json!({"kind": "Ingress", "spec": {"ingressClassName": "n", "rules": [{"host": "a.example.org"}]}, "status": {"loadBalancer": {"ingress": [{"hostname": "lb"}]}}}),
        json!({"kind": "PersistentVolumeClaim", "spec": {"volumeName": "pv", "storageClassName": "fast"}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}),
        json!({"kind": "ConfigMap", "data": {"b": "1", "a": "2"}, "binaryData": {"c": "AA=="}}),
        json!({"kind": "Secret", "type": "Opaque", "data": {"password": "aHVudGVyMg=="}}),
        json!({"kind": "HorizontalPodAutoscaler", "spec": {"maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}, "status": {"currentReplicas": 1, "desiredReplicas": 2}}),
        json!({"kind": "PodDisruptionBudget", "status": {"currentHealthy": 1, "desiredHealthy": 2, "disruptionsAllowed": 0}}),
        json!({"kind": "Thing", "status": {"phase": "Ready"}}),
    ];
    let told: Vec<String> = objects
        .iter()
        .map(|object| {
            let columns: Vec<_> = summary(object)
                .into_iter()
                .map(|(name, text)| format!("{name}={text}"))
                .collect();
            format!("{}: {}", object["kind"].as_str().unwrap(), columns.join("; "))
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_digest_sees_what_is_reported_and_no_secret_value() {
    let secret = |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "data": {"password": value}});
    let digest = |object: &Value| state_digest("uid", &health(object), &summary(object));
    assert_eq!(digest(&secret("a")), digest(&secret("b")));
    assert!(!format!("{:?}", summary(&secret("hunter2"))).contains("hunter2"));
    assert_ne!(
        digest(&secret("a")),
        state_digest("other", &health(&secret("a")), &summary(&secret("a")))
    );
}
