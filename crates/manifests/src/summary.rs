//! What a person sees of a live object beside its name, and one digest over everything that is reported of it.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Health;

/// A few columns that fit the kind. Of Secrets and ConfigMaps the keys, never the values.
pub fn summary(object: &Value) -> BTreeMap<String, String> {
    let group = object["apiVersion"]
        .as_str()
        .unwrap_or_default()
        .split_once('/')
        .map_or("", |(group, _)| group);
    let kind = object["kind"].as_str().unwrap_or_default();
    let mut columns = Columns::default();
    match (group, kind) {
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet") => {
            let wanted = object
                .pointer("/spec/replicas")
                .and_then(Value::as_i64)
                .unwrap_or(1);
            columns.ready(object, "/status/readyReplicas", wanted);
            columns.images(object, "/spec/template/spec");
        }
        ("apps", "DaemonSet") => {
            let wanted = object
                .pointer("/status/desiredNumberScheduled")
                .and_then(Value::as_i64)
                .unwrap_or(0);
            columns.ready(object, "/status/numberReady", wanted);
            columns.images(object, "/spec/template/spec");
        }
        ("", "Pod") => {
            columns.put("phase", object.pointer("/status/phase"));
            columns.put("node", object.pointer("/spec/nodeName"));
            columns.put("ip", object.pointer("/status/podIP"));
            columns.restarts(object);
            columns.images(object, "/spec");
        }
        ("batch", "Job") => {
            let wanted = object
                .pointer("/spec/completions")
                .and_then(Value::as_i64)
                .unwrap_or(1);
            let done = object
                .pointer("/status/succeeded")
                .and_then(Value::as_i64)
                .unwrap_or(0);
            columns.0.insert("completions".into(), format!("{done}/{wanted}"));
        }
        ("batch", "CronJob") => {
            columns.put("schedule", object.pointer("/spec/schedule"));
            columns.put("last", object.pointer("/status/lastScheduleTime"));
        }
        ("", "Service") => {
            columns.put("type", object.pointer("/spec/type"));
            columns.put("ip", object.pointer("/spec/clusterIP"));
            columns.list("ports", object.pointer("/spec/ports"), |port| {
                port["port"].as_i64().map(|port| port.to_string())
            });
        }
        ("networking.k8s.io", "Ingress") => {
            columns.list("hosts", object.pointer("/spec/rules"), |rule| {
                rule["host"].as_str().map(str::to_owned)
            });
        }
        ("", "PersistentVolumeClaim") => {
            columns.put("phase", object.pointer("/status/phase"));
            columns.put("capacity", object.pointer("/status/capacity/storage"));
            columns.put("volume", object.pointer("/spec/volumeName"));
        }
        ("", "PersistentVolume") => {
            columns.put("phase", object.pointer("/status/phase"));
            columns.put("capacity", object.pointer("/spec/capacity/storage"));
        }
        ("", "ConfigMap" | "Secret") => {
            columns.keys(object);
            columns.put("type", object.get("type"));
        }
        ("" | "events.k8s.io", "Event") => {
            columns.put("type", object.get("type"));
            columns.put("reason", object.get("reason"));
        }
        _ => {}
    }
    columns.0
}

#[derive(Default)]
struct Columns(BTreeMap<String, String>);

impl Columns {
    fn put(&mut self, name: &str, value: Option<&Value>) {
        if let Some(text) = value.and_then(Value::as_str).filter(|text| !text.is_empty()) {
            self.0.insert(name.to_owned(), text.to_owned());
        }
    }

    fn ready(&mut self, object: &Value, pointer: &str, wanted: i64) {
        let ready = object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
        self.0.insert("ready".to_owned(), format!("{ready}/{wanted}"));
    }

    fn list(&mut self, name: &str, list: Option<&Value>, item: impl Fn(&Value) -> Option<String>) {
        let items: Vec<String> = list
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(item)
            .collect();
        if !items.is_empty() {
            self.0.insert(name.to_owned(), items.join(","));
        }
    }

    fn images(&mut self, object: &Value, pod_spec: &str) {
        let containers = object.pointer(pod_spec).and_then(|spec| spec.get("containers"));
        self.list("image", containers, |container| {
            container["image"].as_str().map(str::to_owned)
        });
    }

    fn restarts(&mut self, pod: &Value) {
        let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
        let restarts: i64 = statuses
            .into_iter()
            .flatten()
            .filter_map(|status| status["restartCount"].as_i64())
            .sum();
        if restarts > 0 {
            self.0.insert("restarts".to_owned(), restarts.to_string());
        }
    }

    fn keys(&mut self, object: &Value) {
        let of = |section: &str| {
            object[section]
                .as_object()
                .into_iter()
                .flat_map(|map| map.keys().cloned())
        };
        let mut keys: Vec<String> = of("data").chain(of("binaryData")).collect();
        keys.sort();
        if !keys.is_empty() {
            self.0.insert("keys".to_owned(), keys.join(","));
        }
    }
}

/// 16 bytes over what is reported of an object: two sides that have the same digest show the same.
pub fn state_digest(
    uid: &str,
    resource_version: &str,
    health: &Health,
    summary: &BTreeMap<String, String>,
) -> [u8; 16] {
    let mut hasher = Sha256::new();
    let mut part = |text: &str| {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    };
    for text in [
        uid,
        resource_version,
        &format!("{:?}", health.status),
        &health.message,
    ] {
        part(text);
    }
    for (name, value) in summary {
        part(name);
        part(value);
    }
    let mut digest = [0; 16];
    digest.copy_from_slice(&hasher.finalize()[..16]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_shows_its_keys_and_nothing_of_its_values() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"password": "aHVudGVyMg==", "a": "eA=="}});
        let shown = summary(&secret);
        assert_eq!(shown["keys"], "a,password");
        assert!(!format!("{shown:?}").contains("aHVudGVyMg"));
    }

    #[test]
    fn a_deployment_shows_ready_and_wanted() {
        let shown = summary(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "spec": {"replicas": 3, "template": {"spec": {"containers": [{"image": "a:1"}, {"image": "b:2"}]}}},
            "status": {"readyReplicas": 2},
        }));
        assert_eq!(
            (shown["ready"].as_str(), shown["image"].as_str()),
            ("2/3", "a:1,b:2")
        );
    }
}
