//! Drift as `managedFields` shows it. The sets are as a real API server writes them.

// clippy.toml allows it in tests, and does not count their helpers among them.
#![allow(clippy::unwrap_used)]

use c7n_manifests::{Drift, drift, owned_fields_cover, owned_fields_digest};
use serde_json::{Value, json};

fn manifest() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "creationTimestamp": null, "labels": {"app": "web"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {},
            "template": {
                "metadata": {"labels": {"app": "web"}, "creationTimestamp": null},
                "spec": {"containers": [{
                    "name": "web", "image": "web:1", "args": ["-v"], "resources": {"limits": {"cpu": "1000m"}},
                    "ports": [{"containerPort": 8080}, {"containerPort": 53, "protocol": "UDP"}],
                    "env": [{"name": "A", "value": "1"}]
                }]}
            }
        },
        "status": {}
    })
}

fn fields() -> Value {
    json!({
        "f:metadata": {"f:labels": {"f:app": {}, "f:choerodon.io/env": {}}},
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {
                    ".": {}, "f:name": {}, "f:image": {}, "f:args": {}, "f:resources": {"f:limits": {"f:cpu": {}}},
                    "f:ports": {
                        "k:{\"containerPort\":8080,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}},
                        "k:{\"containerPort\":53,\"protocol\":\"UDP\"}": {".": {}, "f:containerPort": {}, "f:protocol": {}}
                    },
                    "f:env": {"k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}}}
                }}}
            }
        }
    })
}

#[test]
fn what_we_applied_is_covered() {
    assert!(owned_fields_cover(&manifest(), &fields()));
}

#[test]
fn a_field_that_another_manager_took_is_drift() {
    let paths = [
        "/f:spec/f:replicas",
        "/f:spec/f:selector",
        "/f:metadata/f:labels/f:app",
        "/f:spec/f:template/f:spec",
        "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"web\"}/f:image",
        "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"web\"}/f:resources",
        "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"web\"}/f:env/k:{\"name\":\"A\"}/f:value",
        "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"web\"}/f:ports/k:{\"containerPort\":53,\"protocol\":\"UDP\"}",
    ];
    for path in paths {
        let mut fields = fields();
        let (parent, key) = path.rsplit_once('/').unwrap();
        fields
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(key)
            .unwrap();
        assert!(!owned_fields_cover(&manifest(), &fields), "{path}");
        assert_ne!(owned_fields_digest(&fields), owned_fields_digest(&self::fields()));
    }
}

#[test]
fn sets_secrets_and_custom_resources() {
    let table = [
        (
            json!({"metadata": {"finalizers": ["a"]}}),
            json!({"f:metadata": {"f:finalizers": {".": {}, "v:\"a\"": {}}}}),
            true,
        ),
        (
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            json!({"f:metadata": {"f:finalizers": {"v:\"a\"": {}}}}),
            false,
        ),
        (
            json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"k": "v"}}),
            json!({"f:data": {"f:k": {}}}),
            true,
        ),
        (
            json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"k": "v"}}),
            json!({"f:data": {"f:j": {}}}),
            false,
        ),
        (
            json!({"spec": {"free": {"form": [1, {"a": 2}]}}}),
            json!({"f:spec": {"f:free": {".": {}, "f:form": {}}}}),
            true,
        ),
        (json!({"spec": {}}), json!({}), true),
        (json!({"spec": {"a": null, "b": [], "c": {}}}), json!({}), true),
        (json!({"spec": {"a": false}}), json!({}), false),
        (json!({"spec": {"a": 0}}), Value::Null, false),
    ];
    for (manifest, fields, covered) in table {
        assert_eq!(
            owned_fields_cover(&manifest, &fields),
            covered,
            "{manifest} {fields}"
        );
    }
}

#[test]
fn only_our_own_apply_to_the_object_itself_counts() {
    let entry = |manager: &str, operation: &str, subresource: &str| json!({"manager": manager, "operation": operation, "subresource": subresource, "fieldsV1": fields()});
    let live = |entries: Vec<Value>| json!({"metadata": {"managedFields": entries}});
    let ours = entry("c7n-agent", "Apply", "");
    assert_eq!(
        drift(&manifest(), &live(vec![entry("kubectl", "Update", ""), ours])),
        Drift::InSync
    );
    for other in [
        entry("kubectl", "Apply", ""),
        entry("c7n-agent", "Update", ""),
        entry("c7n-agent", "Apply", "status"),
    ] {
        assert_eq!(drift(&manifest(), &live(vec![other])), Drift::Drifted);
    }
    assert_eq!(drift(&manifest(), &json!({})), Drift::Drifted);
}
