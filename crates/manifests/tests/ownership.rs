//! Drift as `managedFields` shows it. The sets are as a real API server writes them.

// clippy.toml allows it in tests, and does not count their helpers among them.
#![allow(clippy::unwrap_used)]

use c7n_manifests::{
    Drift, drift, drifted_fields, owned_fields_cover, owned_fields_digest, uncovered_fields,
};
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

/// Takes the field at `pointer` out of our set, as the API server does when `manager` sets it.
fn taken(pointer: &str, manager: Option<&str>) -> Value {
    let mut ours = fields();
    let mut theirs = json!({});
    let value = ours.pointer(pointer).unwrap().clone();
    // What is left empty goes too.
    let mut gone = pointer;
    while let Some((parent, key)) = gone.rsplit_once('/') {
        let map = ours.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        map.remove(key);
        if !map.is_empty() {
            break;
        }
        gone = parent;
    }
    let mut place = &mut theirs;
    for step in pointer.split('/').skip(1) {
        place = &mut place[step];
    }
    *place = value;
    let mut entries = vec![
        json!({"manager": "c7n-agent", "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": ours}),
        json!({"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "time": "2026-01-03T00:00:00Z",
               "fieldsV1": {"f:status": {"f:replicas": {}}}}),
    ];
    if let Some(manager) = manager {
        entries.push(json!({"manager": manager, "operation": "Update", "time": "2026-01-02T00:00:00Z", "fieldsV1": theirs}));
    }
    json!({"metadata": {"managedFields": entries}})
}

#[test]
fn drift_is_told_field_by_field_with_who_did_it() {
    let web = "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"web\"}";
    let container = ".spec.template.spec.containers[name=\"web\"]";
    for (pointer, expected) in [
        ("/f:spec/f:replicas".to_owned(), ".spec.replicas".to_owned()),
        (
            "/f:metadata/f:labels/f:app".to_owned(),
            ".metadata.labels.app".to_owned(),
        ),
        (format!("{web}/f:image"), format!("{container}.image")),
        (format!("{web}/f:args"), format!("{container}.args")),
        (
            format!("{web}/f:ports/k:{{\"containerPort\":53,\"protocol\":\"UDP\"}}"),
            format!("{container}.ports[1]"),
        ),
        (
            format!("{web}/f:resources/f:limits/f:cpu"),
            format!("{container}.resources.limits.cpu"),
        ),
    ] {
        let found = drifted_fields(&manifest(), &taken(&pointer, Some("kubectl-edit")));
        let told: Vec<_> = found
            .iter()
            .map(|it| {
                (
                    it.field.as_str(),
                    it.by.as_ref().map(|by| (by.name.as_str(), by.time.as_str())),
                )
            })
            .collect();
        assert_eq!(
            told,
            [(expected.as_str(), Some(("kubectl-edit", "2026-01-02T00:00:00Z")))],
            "{pointer}"
        );
        // Taken out, nobody owns it.
        let gone = drifted_fields(&manifest(), &taken(&pointer, None));
        assert_eq!((gone.len(), &gone[0].by), (1, &None), "{pointer}");
    }
}

#[test]
fn what_is_ours_is_no_drift_and_what_is_all_lost_is_told_in_few() {
    let live = json!({"metadata": {"managedFields": [{"manager": "c7n-agent", "operation": "Apply", "fieldsV1": fields()}]}});
    assert_eq!(drifted_fields(&manifest(), &live), []);
    let nothing = drifted_fields(&manifest(), &json!({"metadata": {}}));
    let fields: Vec<&str> = nothing.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            ".metadata.labels.app",
            ".spec.replicas",
            ".spec.selector.matchLabels.app",
            ".spec.template.metadata.labels.app",
            ".spec.template.spec.containers",
        ]
    );
    let many: serde_json::Map<String, Value> = (0..100).map(|at| (format!("k{at}"), json!("v"))).collect();
    let manifest =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "stringData": many});
    let found = drifted_fields(&manifest, &json!({}));
    assert_eq!(found.len(), 20);
    assert!(found[0].field.starts_with(".data.k"));
}

#[test]
fn values_of_sets_are_not_shown() {
    let manifest = json!({"kind": "ConfigMap", "metadata": {"name": "x", "finalizers": ["kept", "canary"]}});
    let set = json!({"f:metadata": {"f:finalizers": {"v:\"kept\"": {}}}});
    let lacking = uncovered_fields(&manifest, &set);
    let shown: Vec<String> = lacking.iter().map(ToString::to_string).collect();
    assert_eq!(shown, [".metadata.finalizers[1]"]);
    let whole = json!({"f:metadata": {"f:finalizers": {}}});
    assert!(lacking[0].is_in(&whole) && !lacking[0].is_in(&set) && !lacking[0].is_in(&json!({})));
}
