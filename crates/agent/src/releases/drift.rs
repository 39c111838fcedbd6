//! What somebody changed in objects that Helm made, read from `managedFields`. Pure.
//!
//! As in delivery: a field that was changed by another leaves the set of its former owner, so that ownership tells drift
//! without a comparison of values, which the server normalises. What autoscalers and this product's own commands own is
//! theirs and no drift.

use c7n_manifests::{FieldPath, uncovered_fields};
use serde_json::{Map, Value};

use super::crd::FIELD_MANAGER;

/// The field manager of Helm's applies, by this agent's worker and by `helm` by hand.
pub const HELM_MANAGER: &str = "helm";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    InSync,
    Missing,
    Changed { fields: Vec<Changed> },
}

/// One field that the chart sets and Helm does not own any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// `.spec.template`, as the API server writes paths.
    pub field: String,
    /// Who has it now; nobody if it was taken away.
    pub manager: Option<String>,
}

/// Compares what Helm wrote with what lives.
pub fn compare(manifest: &Value, live: Option<&Value>) -> Finding {
    let Some(live) = live else {
        return Finding::Missing;
    };
    if !live["metadata"]["deletionTimestamp"].is_null() {
        // Somebody is deleting it: it is missing when it has gone.
        return Finding::InSync;
    }
    let fields: Vec<Changed> = uncovered_fields(manifest, &helms(live))
        .into_iter()
        .filter_map(|path| match owner(live, &path) {
            Some(owner) if owner.is_left_alone() => None,
            owner => Some(Changed {
                field: path.to_string(),
                manager: owner.map(|owner| owner.manager),
            }),
        })
        .collect();
    if fields.is_empty() {
        Finding::InSync
    } else {
        Finding::Changed { fields }
    }
}

/// What is applied to put the object right: as Helm writes it, without the fields that are left to others.
pub fn repaired(manifest: &Value, live: Option<&Value>, release: &str, namespace: &str) -> Value {
    let mut object = manifest.clone();
    if let Some(live) = live {
        for path in uncovered_fields(manifest, &helms(live)) {
            if owner(live, &path).is_some_and(|owner| owner.is_left_alone()) {
                path.remove_from(&mut object);
            }
        }
    }
    with_helms_marks(&mut object, release, namespace);
    object
}

/// Helm writes these on every object beside the manifest; an apply without them would take them away.
pub fn with_helms_marks(object: &mut Value, release: &str, namespace: &str) {
    let metadata = &mut object["metadata"];
    for (field, entries) in [
        ("labels", vec![("app.kubernetes.io/managed-by", "Helm")]),
        (
            "annotations",
            vec![
                ("meta.helm.sh/release-name", release),
                ("meta.helm.sh/release-namespace", namespace),
            ],
        ),
    ] {
        if !metadata[field].is_object() {
            metadata[field] = Value::Object(Map::new());
        }
        for (key, text) in entries {
            metadata[field][key] = text.into();
        }
    }
}

/// Everything that Helm owns in the object, by whichever way it wrote.
pub fn helms(live: &Value) -> Value {
    let mut all = Value::Object(Map::new());
    for entry in entries(live) {
        if entry["manager"] == HELM_MANAGER && word(entry, "subresource").is_empty() {
            merge(&mut all, &entry["fieldsV1"]);
        }
    }
    all
}

struct Owner {
    manager: String,
    subresource: String,
}

impl Owner {
    /// An autoscaler, or a command or a stop of this product's own.
    fn is_left_alone(&self) -> bool {
        let by_scale = self.subresource == "scale" && !self.manager.starts_with("kubectl");
        by_scale || self.manager == FIELD_MANAGER || self.manager == "c7n-command"
    }
}

/// The manager, other than Helm, that has the field.
fn owner(live: &Value, path: &FieldPath<'_>) -> Option<Owner> {
    let entry =
        entries(live).find(|entry| entry["manager"] != HELM_MANAGER && path.is_in(&entry["fieldsV1"]))?;
    Some(Owner {
        manager: word(entry, "manager").to_owned(),
        subresource: word(entry, "subresource").to_owned(),
    })
}

fn entries(live: &Value) -> impl Iterator<Item = &Value> {
    live["metadata"]["managedFields"].as_array().into_iter().flatten()
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn merge(into: &mut Value, more: &Value) {
    let (Some(into), Some(more)) = (into.as_object_mut(), more.as_object()) else {
        return;
    };
    for (key, value) in more {
        match into.get_mut(key) {
            Some(known) => merge(known, value),
            None => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "labels": { "app": "web" } },
            "spec": { "replicas": 3, "template": { "spec": { "containers": [{ "name": "web", "image": "a:1" }] } } },
        })
    }

    fn live(helms: Value, others: &[(&str, &str, Value)]) -> Value {
        let mut entries = vec![json!({ "manager": "helm", "operation": "Apply", "fieldsV1": helms })];
        for (manager, subresource, fields) in others {
            entries.push(json!({ "manager": manager, "operation": "Update", "subresource": subresource, "fieldsV1": fields }));
        }
        json!({ "metadata": { "name": "web", "managedFields": entries } })
    }

    fn all() -> Value {
        json!({
            "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
            "f:spec": {
                "f:replicas": {},
                "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"web\"}": { ".": {}, "f:name": {}, "f:image": {} } } } },
            },
        })
    }

    fn without(path: &str) -> Value {
        let mut fields = all();
        let (above, last) = path.rsplit_once('/').unwrap();
        fields
            .pointer_mut(above)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(last);
        fields
    }

    const REPLICAS: &str = "/f:spec/f:replicas";

    #[test]
    fn a_field_that_a_hand_took_is_named_with_the_hand() {
        assert_eq!(compare(&manifest(), Some(&live(all(), &[]))), Finding::InSync);
        assert_eq!(compare(&manifest(), None), Finding::Missing);

        let image = "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"web\"}/f:image";
        let theirs = json!({ "f:spec": { "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"web\"}": { "f:image": {} } } } } } });
        let found = compare(
            &manifest(),
            Some(&live(without(image), &[("kubectl-edit", "", theirs)])),
        );
        let Finding::Changed { fields } = found else {
            panic!("{found:?}")
        };
        assert_eq!(fields.len(), 1);
        assert_eq!(
            fields[0].field,
            ".spec.template.spec.containers[name=\"web\"].image"
        );
        assert_eq!(fields[0].manager.as_deref(), Some("kubectl-edit"));
    }

    #[test]
    fn a_field_that_was_taken_away_has_no_owner() {
        let found = compare(
            &manifest(),
            Some(&live(without("/f:metadata/f:labels/f:app"), &[])),
        );
        let Finding::Changed { fields } = found else {
            panic!("{found:?}")
        };
        assert_eq!(
            fields,
            [Changed {
                field: ".metadata.labels.app".into(),
                manager: None
            }]
        );
    }

    #[test]
    fn a_field_that_was_the_only_one_of_its_map_is_still_named() {
        let manifest = json!({ "kind": "ConfigMap", "data": { "message": "a" } });
        let object = live(
            json!({}),
            &[("kubectl-patch", "", json!({ "f:data": { "f:message": {} } }))],
        );
        let found = compare(&manifest, Some(&object));
        let Finding::Changed { fields } = found else {
            panic!("{found:?}")
        };
        assert_eq!(
            fields,
            [Changed {
                field: ".data.message".into(),
                manager: Some("kubectl-patch".into())
            }]
        );

        let atomic = live(json!({}), &[("kubectl-edit", "", json!({ "f:data": {} }))]);
        let Finding::Changed { fields } = compare(&manifest, Some(&atomic)) else {
            panic!()
        };
        assert_eq!(fields[0].manager.as_deref(), Some("kubectl-edit"));
    }

    #[test]
    fn autoscalers_stops_and_commands_keep_what_they_have_and_a_hand_that_scales_does_not() {
        let replicas = json!({ "f:spec": { "f:replicas": {} } });
        for manager in [
            "kube-controller-manager",
            "keda",
            "c7n-agent-releases",
            "c7n-command",
        ] {
            let live = live(without(REPLICAS), &[(manager, "scale", replicas.clone())]);
            assert_eq!(compare(&manifest(), Some(&live)), Finding::InSync, "{manager}");
            let body = repaired(&manifest(), Some(&live), "web", "shop");
            assert!(body["spec"].get("replicas").is_none(), "{manager}: {body}");
        }
        let by_hand = live(without(REPLICAS), &[("kubectl", "scale", replicas)]);
        assert!(matches!(
            compare(&manifest(), Some(&by_hand)),
            Finding::Changed { .. }
        ));
        assert_eq!(
            repaired(&manifest(), Some(&by_hand), "web", "shop")["spec"]["replicas"],
            3
        );
    }

    #[test]
    fn what_helm_wrote_by_an_update_counts_as_well() {
        let object = json!({ "metadata": { "managedFields": [
            { "manager": "helm", "operation": "Update", "fieldsV1": without(REPLICAS) },
            { "manager": "helm", "operation": "Apply", "fieldsV1": { "f:spec": { "f:replicas": {} } } },
        ]}});
        assert_eq!(compare(&manifest(), Some(&object)), Finding::InSync);
    }

    #[test]
    fn a_repair_carries_what_helm_adds_itself() {
        let body = repaired(&manifest(), None, "web", "shop");
        assert_eq!(body["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
        assert_eq!(
            body["metadata"]["annotations"]["meta.helm.sh/release-name"],
            "web"
        );
        assert_eq!(body["metadata"]["labels"]["app"], "web");
    }
}
