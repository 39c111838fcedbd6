//! Why objects are not well: real ones, as an API server and a kubelet (1.34) showed them, with their events.

// clippy.toml allows it in tests, and does not count their helpers among them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use c7n_manifests::{Clue, HealthStatus, health, last_words, trouble};
use serde_json::{Value, json};

/// As many characters of an event's message are kept.
const KEPT: usize = 300;

fn cause(object: &Value, events: &Value, log: &str) -> String {
    let health = health(object);
    let Some(trouble) = trouble(object, &health) else {
        return format!("{}: {}", health.status, health.message);
    };
    let messages: Vec<String> = events
        .as_array()
        .into_iter()
        .flatten()
        .map(|event| event["message"].as_str().unwrap().chars().take(KEPT).collect())
        .collect();
    let clues: Vec<Clue<'_>> = events
        .as_array()
        .into_iter()
        .flatten()
        .zip(&messages)
        .map(|(event, message)| Clue {
            reason: event["reason"].as_str().unwrap(),
            message,
            container: event["fieldPath"]
                .as_str()
                .and_then(|path| path.split_once('{')?.1.strip_suffix('}'))
                .unwrap_or_default(),
        })
        .collect();
    let words = last_words(log);
    format!("{}: {}", health.status, trouble.cause(&clues, &words))
}

#[test]
fn real_objects_say_why() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/causes");
    let mut told = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let case: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let log = "2026/11/25 18:02:38.526426 step 1 of 1\nsample: told to fail by --fail\n";
        told.insert(name, cause(&case["object"], &case["events"], log));
    }
    let text: String = told
        .iter()
        .map(|(name, cause)| format!("{name}\n  {}\n", cause.replace('\n', "\n  | ")))
        .collect();
    insta::assert_snapshot!(text);
}

fn pod(status: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "status": status,
        "spec": {"containers": [{"name": "web", "image": "r.example.com/web:1", "resources": {"limits": {"memory": "64Mi"}}}]},
    })
}

/// What could not be brought about on a small machine.
#[test]
fn others_say_why_too() {
    let container = |state: Value| json!({"phase": "Running", "containerStatuses": [{"name": "web", "restartCount": 3, "state": state}]});
    let crash = |last: Value| {
        let mut status = container(json!({"waiting": {"reason": "CrashLoopBackOff"}}));
        status["containerStatuses"][0]["lastState"]["terminated"] = last;
        pod(status)
    };
    let pulled = |message: &str| {
        pod(container(
            json!({"waiting": {"reason": "ErrImagePull", "message": message}}),
        ))
    };
    let pending = |message: &str| {
        pod(json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message},
        ]}))
    };
    let table = [
        (
            crash(json!({"reason": "OOMKilled", "exitCode": 137})),
            json!([]),
            "Degraded: container web ran out of memory and was killed (its limit is 64Mi), 3 restarts",
        ),
        (
            crash(json!({"reason": "Error", "exitCode": 139})),
            json!([]),
            "Degraded: container web crashes with exit code 139 (it touched memory that is not its own), 3 restarts",
        ),
        (
            pod(
                json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory. "}),
            ),
            json!([]),
            "Degraded: was evicted: The node was low on resource: memory.",
        ),
        (
            pulled(
                "failed to do request: Head \"https://r.example.com/v2/\": dial tcp 10.0.0.1:443: i/o timeout",
            ),
            json!([]),
            "Degraded: container web: the image r.example.com/web:1 cannot be pulled: the registry r.example.com does not answer in time",
        ),
        (
            pulled("tls: failed to verify certificate: x509: certificate signed by unknown authority"),
            json!([]),
            "Degraded: container web: the image r.example.com/web:1 cannot be pulled: the certificate of r.example.com is not trusted by the node",
        ),
        (
            pulled("no match for platform in manifest: not found"),
            json!([]),
            "Degraded: container web: the image r.example.com/web:1 cannot be pulled: it is not there for the node's kind of processor",
        ),
        (
            pod(container(
                json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"r.example.com/web:1\""}}),
            )),
            json!([
                {"reason": "BackOff", "message": "Back-off pulling image \"r.example.com/web:1\""},
                {"reason": "Failed", "message": "Failed to pull image \"r.example.com/web:1\": r.example.com/web:1: not found"},
            ]),
            "Degraded: container web: the image r.example.com/web:1 cannot be pulled: r.example.com has no such image or tag",
        ),
        (
            pending(
                "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
            ),
            json!([]),
            "Degraded: cannot be scheduled: 0/3 nodes: insufficient cpu",
        ),
        (
            pending(
                "0/3 nodes are available: 1 node(s) had untolerated taint {key: value}, 2 Insufficient memory.",
            ),
            json!([]),
            "Degraded: cannot be scheduled: 0/3 nodes: 1 had untolerated taint {key: value}, 2 insufficient memory",
        ),
        (
            pod(
                json!({"phase": "Pending", "containerStatuses": [{"name": "web", "state": {"waiting": {"reason": "ContainerCreating"}}}]}),
            ),
            json!([{"reason": "Pulling", "message": "Pulling image \"r.example.com/web:1\""}, {"reason": "FailedMount", "message": "old"}]),
            "Progressing: the image r.example.com/web:1 is being pulled",
        ),
        (
            pod(
                json!({"phase": "Pending", "containerStatuses": [{"name": "web", "state": {"waiting": {"reason": "ContainerCreating"}}}]}),
            ),
            json!([{"reason": "FailedAttachVolume", "message": "AttachVolume.Attach failed for volume \"pv-1\" : rpc error: node is full"}]),
            "Progressing: the volume pv-1 cannot be attached: rpc error: node is full",
        ),
        (
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"generation": 1}, "status": {"observedGeneration": 1}}),
            json!([{"reason": "FailedCreate", "message": "create Pod db-0 in StatefulSet db failed error: admission webhook \"policy.example.com\" denied the request: no label owner"}]),
            "Progressing: its pods are refused by the admission webhook policy.example.com: no label owner",
        ),
        (
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"generation": 1}, "status": {"observedGeneration": 1}}),
            json!([{"reason": "SuccessfulCreate", "message": "create Pod db-0"}, {"reason": "FailedCreate", "message": "over"}]),
            "Progressing: 0 of 1 replicas made",
        ),
    ];
    for (object, events, expected) in table {
        assert_eq!(cause(&object, &events, ""), expected);
    }
}

#[test]
fn what_is_well_or_going_away_has_no_trouble() {
    let mut well = pod(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}));
    assert_eq!(health(&well).status, HealthStatus::Healthy);
    assert!(trouble(&well, &health(&well)).is_none());
    well["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert!(trouble(&well, &health(&well)).is_none());
}

#[test]
fn a_release_is_what_its_controller_says() {
    let release = |status: Value| json!({"apiVersion": "choerodon.io/v1alpha1", "kind": "C7NHelmRelease", "metadata": {"generation": 2}, "status": status});
    for (status, expected) in [
        (json!({}), "Progressing: not yet seen by its controller"),
        (
            json!({"observedGeneration": 1, "phase": "Deployed"}),
            "Progressing: the latest change is not yet seen by its controller",
        ),
        (
            json!({"observedGeneration": 2, "phase": "Upgrading"}),
            "Progressing: the release is being upgraded",
        ),
        (
            json!({"observedGeneration": 2, "phase": "Stopped"}),
            "Suspended: the release is stopped",
        ),
        (
            json!({"observedGeneration": 2, "phase": "Failed", "lastError": "no such chart"}),
            "Degraded: no such chart",
        ),
        (
            json!({"observedGeneration": 2, "phase": "Failed", "conditions": [{"type": "Ready", "status": "False", "reason": "Hook", "message": "m"}]}),
            "Degraded: Hook: m",
        ),
        (
            json!({"observedGeneration": 2, "phase": "Deployed", "conditions": [{"type": "Ready", "status": "True"}]}),
            "Healthy: ",
        ),
    ] {
        assert_eq!(cause(&release(status), &json!([]), ""), expected);
    }
}
