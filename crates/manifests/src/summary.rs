//! A few columns of a live object for lists, and a digest over all that is reported of it. Never a Secret's values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::health::Health;

/// Columns by name; those that an object has nothing for are left out.
pub fn summary(object: &Value) -> BTreeMap<String, String> {
    let mut columns = Columns(BTreeMap::new());
    let (spec, status) = (&object["spec"], &object["status"]);
    match object["kind"].as_str().unwrap_or_default() {
        "Deployment" | "StatefulSet" | "ReplicaSet" | "ReplicationController" => {
            let wanted = spec["replicas"].as_i64().unwrap_or(1);
            columns.put(
                "replicas",
                format!("{}/{wanted}", count(&status["readyReplicas"])),
            );
            columns.number("updated", &status["updatedReplicas"]);
            columns.images(&spec["template"]["spec"]);
            // Claims made from these are named for them and for the StatefulSet, and nothing else says whose they are.
            columns.list(
                "claims",
                items(&spec["volumeClaimTemplates"]).filter_map(|claim| text(&claim["metadata"]["name"])),
            );
        }
        "DaemonSet" => {
            let wanted = count(&status["desiredNumberScheduled"]);
            columns.put("replicas", format!("{}/{wanted}", count(&status["numberReady"])));
            columns.number("updated", &status["updatedNumberScheduled"]);
            columns.images(&spec["template"]["spec"]);
        }
        "Pod" => pod(&mut columns, spec, status),
        "Job" => {
            let wanted = spec["completions"].as_i64().unwrap_or(1);
            columns.put("completions", format!("{}/{wanted}", count(&status["succeeded"])));
            columns.number("active", &status["active"]);
            columns.number("failed", &status["failed"]);
            columns.images(&spec["template"]["spec"]);
        }
        "CronJob" => {
            columns.text("schedule", &spec["schedule"]);
            columns.text("lastSchedule", &status["lastScheduleTime"]);
            columns.images(&spec["jobTemplate"]["spec"]["template"]["spec"]);
        }
        "Service" => {
            columns.put("type", spec["type"].as_str().unwrap_or("ClusterIP").to_owned());
            columns.text("clusterIP", &spec["clusterIP"]);
            columns.text("externalName", &spec["externalName"]);
            columns.list("ports", items(&spec["ports"]).map(port));
            columns.list("address", addresses(status));
        }
        "Ingress" => {
            columns.text("class", &spec["ingressClassName"]);
            columns.list(
                "hosts",
                items(&spec["rules"]).filter_map(|rule| rule["host"].as_str().map(str::to_owned)),
            );
            columns.list("address", addresses(status));
        }
        "PersistentVolumeClaim" => {
            columns.text("phase", &status["phase"]);
            columns.text("capacity", &status["capacity"]["storage"]);
            columns.text("volume", &spec["volumeName"]);
            columns.text("storageClass", &spec["storageClassName"]);
        }
        "PersistentVolume" => {
            columns.text("phase", &status["phase"]);
            columns.text("capacity", &spec["capacity"]["storage"]);
            columns.text("storageClass", &spec["storageClassName"]);
            if let (Some(namespace), Some(name)) = (
                spec["claimRef"]["namespace"].as_str(),
                spec["claimRef"]["name"].as_str(),
            ) {
                columns.put("claim", format!("{namespace}/{name}"));
            }
        }
        "ConfigMap" => columns.keys(object, &["data", "binaryData"]),
        "Secret" => {
            columns.text("type", &object["type"]);
            columns.keys(object, &["data", "stringData"]);
        }
        "HorizontalPodAutoscaler" => {
            let target = &spec["scaleTargetRef"];
            if let (Some(kind), Some(name)) = (target["kind"].as_str(), target["name"].as_str()) {
                columns.put("target", format!("{kind}/{name}"));
            }
            columns.put(
                "replicas",
                format!(
                    "{}/{}",
                    count(&status["currentReplicas"]),
                    count(&status["desiredReplicas"])
                ),
            );
            let least = spec["minReplicas"].as_i64().unwrap_or(1);
            columns.put("range", format!("{least}-{}", count(&spec["maxReplicas"])));
        }
        "PodDisruptionBudget" => {
            columns.put(
                "healthy",
                format!(
                    "{}/{}",
                    count(&status["currentHealthy"]),
                    count(&status["desiredHealthy"])
                ),
            );
            columns.number("disruptionsAllowed", &status["disruptionsAllowed"]);
        }
        "C7NHelmRelease" => release(&mut columns, spec, status),
        "ServiceAccount" | "Role" | "RoleBinding" => {}
        _ => columns.text("phase", &status["phase"]),
    }
    columns.0
}

fn pod(columns: &mut Columns, spec: &Value, status: &Value) {
    let wanted = items(&spec["containers"]).count();
    let ready = items(&status["containerStatuses"])
        .filter(|container| container["ready"] == true)
        .count();
    let restarts: i64 = items(&status["containerStatuses"])
        .map(|container| count(&container["restartCount"]))
        .sum();
    columns.put("ready", format!("{ready}/{wanted}"));
    columns.put("restarts", restarts.to_string());
    columns.text("phase", &status["phase"]);
    columns.text("node", &spec["nodeName"]);
    columns.text("ip", &status["podIP"]);
    columns.list(
        "containers",
        items(&spec["containers"]).filter_map(|container| container["name"].as_str().map(str::to_owned)),
    );
    columns.list(
        "claims",
        items(&spec["volumes"]).filter_map(|volume| text(&volume["persistentVolumeClaim"]["claimName"])),
    );
    columns.images(spec);
}

/// What is wanted, and what was reached. Never the values: a person may have put a password there.
fn release(columns: &mut Columns, spec: &Value, status: &Value) {
    columns.text("chart", &spec["chartName"]);
    columns.text("version", &spec["chartVersion"]);
    columns.text("repository", &spec["repoUrl"]);
    columns.text("phase", &status["phase"]);
    columns.number("revision", &status["revision"]);
    columns.text("deployed", &status["chart"]);
    columns.text("commit", &status["commit"]);
    columns.put("revisions", revisions(&status["history"]));
}

/// The revisions that can be gone back to, as JSON; empty where there are none. As short as Helm's own history, whatever
/// somebody has written there.
fn revisions(history: &Value) -> String {
    const MOST: usize = 10;
    const LONGEST: usize = 128;
    let short = |value: &Value| value.as_str().is_some_and(|text| text.len() <= LONGEST);
    let past: Vec<Value> = items(history)
        .filter(|past| past["revision"].is_u64())
        .map(|past| {
            let mut kept = serde_json::Map::from_iter([("revision".to_owned(), past["revision"].clone())]);
            for key in ["commit", "chart", "time"] {
                if short(&past[key]) {
                    kept.insert(key.to_owned(), past[key].clone());
                }
            }
            Value::Object(kept)
        })
        .collect();
    match past.len() {
        0 => String::new(),
        all => Value::Array(past.into_iter().skip(all.saturating_sub(MOST)).collect()).to_string(),
    }
}

/// A digest of everything that is reported of an object: as long as it is the same, nothing needs to be sent.
pub fn state_digest(uid: &str, health: &Health, summary: &BTreeMap<String, String>) -> [u8; 16] {
    let mut hash = Sha256::new();
    let mut put = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    put(uid);
    put(&health.status.to_string());
    put(&health.message);
    for (name, text) in summary {
        put(name);
        put(text);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

struct Columns(BTreeMap<String, String>);

impl Columns {
    fn put(&mut self, name: &str, text: String) {
        if !text.is_empty() {
            self.0.insert(name.to_owned(), text);
        }
    }

    fn text(&mut self, name: &str, value: &Value) {
        self.put(name, value.as_str().unwrap_or_default().to_owned());
    }

    fn number(&mut self, name: &str, value: &Value) {
        if let Some(number) = value.as_i64() {
            self.put(name, number.to_string());
        }
    }

    fn list(&mut self, name: &str, items: impl Iterator<Item = String>) {
        self.put(name, items.collect::<Vec<_>>().join(", "));
    }

    fn images(&mut self, pod_spec: &Value) {
        let images: BTreeSet<&str> = items(&pod_spec["containers"])
            .filter_map(|container| container["image"].as_str())
            .collect();
        self.list("images", images.into_iter().map(str::to_owned));
    }

    fn keys(&mut self, object: &Value, fields: &[&str]) {
        let keys: BTreeSet<&String> = fields
            .iter()
            .filter_map(|field| object[*field].as_object())
            .flat_map(|map| map.keys())
            .collect();
        self.put("count", keys.len().to_string());
        self.list("keys", keys.into_iter().cloned());
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn port(port: &Value) -> String {
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    let node = port["nodePort"]
        .as_i64()
        .map(|node| format!(":{node}"))
        .unwrap_or_default();
    format!("{}{node}/{protocol}", count(&port["port"]))
}

fn addresses(status: &Value) -> impl Iterator<Item = String> {
    items(&status["loadBalancer"]["ingress"]).filter_map(|ingress| {
        ingress["ip"]
            .as_str()
            .or(ingress["hostname"].as_str())
            .map(str::to_owned)
    })
}
