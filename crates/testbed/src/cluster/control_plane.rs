//! The programs every cluster has: etcd, API server, controller manager, scheduler.
//!
//! In: ports, certificates. Out: the arguments each program is started with.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::certificates::{Certificates, write_secret};
use super::images;
use super::kubeconfig;
use super::ports::Ports;
use super::state::ClusterState;

/// Services get addresses of this range; nothing routes them (no kube-proxy runs).
const SERVICES: &str = "10.200.0.0/16";

/// A pod that carries this label ends by itself also on a played node.
pub const ENDS_LABEL: &str = "c7n.local/ends";

/// The user's kubeconfig and those of the programs.
pub fn write_kubeconfigs(state: &ClusterState, certificates: &Certificates) -> Result<()> {
    let write = |path: &Path, user: &str, group: Option<&str>| -> Result<()> {
        let identity = certificates.client(user, group)?;
        let content = kubeconfig::render(
            &context_name(&state.name),
            state.ports.api,
            &certificates.authority_pem,
            &identity,
        );
        write_secret(path, &content)
    };
    write(&state.kubeconfig(), "admin", Some("system:masters"))?;
    write(
        &certificates.file("controller-manager.kubeconfig"),
        "system:kube-controller-manager",
        None,
    )?;
    write(
        &certificates.file("scheduler.kubeconfig"),
        "system:kube-scheduler",
        None,
    )?;
    if let Some(node) = &state.node {
        let user = format!("system:node:{}", node.name);
        write(
            &certificates.file("kubelet.kubeconfig"),
            &user,
            Some("system:nodes"),
        )?;
    }
    Ok(())
}

fn context_name(cluster: &str) -> String {
    format!("c7n-{cluster}")
}

pub fn etcd_arguments(folder: &Path, ports: &Ports, certificates: &Certificates) -> Vec<String> {
    let file = |name: &str| certificates.file(name).display().to_string();
    let client = format!("https://127.0.0.1:{}", ports.etcd);
    let peer = format!("https://127.0.0.1:{}", ports.etcd_peer);
    let mut arguments = vec![
        "--name=local".to_owned(),
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=local={peer}"),
        // A cluster that lives for a test outlives no power failure.
        "--unsafe-no-fsync=true".to_owned(),
        "--quota-backend-bytes=8589934592".to_owned(),
    ];
    for prefix in ["", "peer-"] {
        arguments.extend([
            format!("--{prefix}cert-file={}", file("etcd.crt")),
            format!("--{prefix}key-file={}", file("etcd.key")),
            format!("--{prefix}trusted-ca-file={}", file("ca.crt")),
            format!("--{prefix}client-cert-auth=true"),
        ]);
    }
    arguments
}

pub fn api_server_arguments(ports: &Ports, certificates: &Certificates) -> Vec<String> {
    let file = |name: &str| certificates.file(name).display().to_string();
    vec![
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.api),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--etcd-servers=https://127.0.0.1:{}", ports.etcd),
        format!("--etcd-cafile={}", file("ca.crt")),
        format!("--etcd-certfile={}", file("etcd.crt")),
        format!("--etcd-keyfile={}", file("etcd.key")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--anonymous-auth=false".to_owned(),
        "--allow-privileged=true".to_owned(),
        // The address is loopback, which the endpoints of the service `kubernetes` may not be.
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--service-cluster-ip-range={SERVICES}"),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("service-accounts.pub")),
        format!(
            "--service-account-signing-key-file={}",
            file("service-accounts.key")
        ),
        format!("--kubelet-client-certificate={}", file("kubelet-client.crt")),
        format!("--kubelet-client-key={}", file("kubelet-client.key")),
        format!("--kubelet-certificate-authority={}", file("ca.crt")),
        "--kubelet-preferred-address-types=InternalIP,Hostname".to_owned(),
        format!("--requestheader-client-ca-file={}", file("ca.crt")),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        format!("--proxy-client-cert-file={}", file("front-proxy.crt")),
        format!("--proxy-client-key-file={}", file("front-proxy.key")),
        "--profiling=false".to_owned(),
    ]
}

pub fn controller_manager_arguments(folder: &Path, certificates: &Certificates) -> Result<Vec<String>> {
    let recycler = folder.join("recycler.json");
    fs::write(&recycler, recycler_pod().to_string()).context("cannot write the recycler's pod")?;
    let file = |name: &str| certificates.file(name).display().to_string();
    Ok(vec![
        format!("--kubeconfig={}", file("controller-manager.kubeconfig")),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        // The usual 20 a second alone make the controllers take five seconds to start.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
        format!("--root-ca-file={}", file("ca.crt")),
        format!(
            "--service-account-private-key-file={}",
            file("service-accounts.key")
        ),
        format!(
            "--pv-recycler-pod-template-filepath-hostpath={}",
            recycler.display()
        ),
        "--profiling=false".to_owned(),
    ])
}

pub fn scheduler_arguments(certificates: &Certificates) -> Vec<String> {
    vec![
        format!(
            "--kubeconfig={}",
            certificates.file("scheduler.kubeconfig").display()
        ),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

/// Empties a volume before it is given to the next claim; the default one is an image of the internet.
fn recycler_pod() -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "generateName": "recycle-", "namespace": "default", "labels": { (ENDS_LABEL): "true" } },
        "spec": {
            "restartPolicy": "Never",
            "enableServiceLinks": false,
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "volumes": [{ "name": "vol", "hostPath": { "path": "/replaced/by/the/controller" } }],
            "containers": [{
                "name": "scrub",
                "image": images::SAMPLE[0],
                "imagePullPolicy": "IfNotPresent",
                "args": ["scrub", "/scrub"],
                "securityContext": { "runAsUser": 0 },
                "volumeMounts": [{ "name": "vol", "mountPath": "/scrub" }],
            }],
        },
    })
}
