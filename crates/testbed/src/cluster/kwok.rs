//! Nodes that kwok plays: as many as one likes, with pods that are Ready and no process behind them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::certificates::Certificates;
use super::state::ClusterState;

const STAGES: &str = include_str!("kwok.yaml");
/// kwok's own annotation for nodes it may play; also the taint that keeps ordinary pods away.
const PLAYED: &str = "kwok.x-k8s.io/node";

pub fn arguments(state: &ClusterState, certificates: &Certificates) -> Result<Vec<String>> {
    let config = state.folder.join("kwok.yaml");
    fs::write(&config, format!("{STAGES}{}", logs(&state.folder)?))
        .context("cannot write kwok's configuration")?;
    let file = |name: &str| certificates.file(name).display().to_string();
    Ok(vec![
        format!("--kubeconfig={}", state.kubeconfig().display()),
        format!("--config={}", config.display()),
        "--manage-all-nodes=false".to_owned(),
        format!("--manage-nodes-with-annotation-selector={PLAYED}=fake"),
        "--node-ip=127.0.0.1".to_owned(),
        format!("--node-port={}", state.ports.kwok),
        "--node-lease-duration-seconds=40".to_owned(),
        format!("--tls-cert-file={}", file("kwok-server.crt")),
        format!("--tls-private-key-file={}", file("kwok-server.key")),
    ])
}

/// `kubectl logs` of a played pod says what it is, and `kubectl exec` works in a way.
fn logs(folder: &Path) -> Result<String> {
    let file = folder.join("played.log");
    fs::write(
        &file,
        "2026-01-01T00:00:00.000000000Z stdout F this pod is played by kwok: no process runs\n",
    )
    .context("cannot write the log of played pods")?;
    let logs = json!({
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": { "name": "played" },
        "spec": { "logs": [{ "logsFile": file, "follow": true }] },
    });
    // Whoever starts a process in a played pod starts it on this machine, as the user of the cluster's programs.
    let exec = json!({
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterExec",
        "metadata": { "name": "played" },
        "spec": { "execs": [{ "local": {} }] },
    });
    Ok(format!("---\n{logs}\n---\n{exec}\n"))
}

/// The nodes to create. Beside a real node they are tainted, so that only pods that ask for them come to them.
pub fn nodes(state: &ClusterState) -> Vec<Value> {
    let taints = match state.node {
        Some(_) => json!([{ "key": PLAYED, "value": "fake", "effect": "NoSchedule" }]),
        None => json!([]),
    };
    (1..=state.kwok_nodes)
        .map(|number| node(&format!("kwok-{number}"), &taints))
        .collect()
}

fn node(name: &str, taints: &Value) -> Value {
    let capacity = json!({ "cpu": "64", "memory": "256Gi", "pods": "10000", "ephemeral-storage": "1Ti" });
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": { (PLAYED): "fake", "node.alpha.kubernetes.io/ttl": "0" },
            "labels": {
                "type": "kwok",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
        },
        "spec": { "taints": taints },
        "status": { "allocatable": capacity, "capacity": capacity },
    })
}
