//! A real node: containerd and a kubelet of this cluster alone, beside whatever the machine runs.
//!
//! In: the cluster's folder, the distribution's programs. Out: configuration files, arguments, and a plan of what is
//! outside the folder (cgroup, bridge). Pods get addresses on a bridge of their own; nothing routes them to elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::certificates::Certificates;
use super::state::{ClusterState, NodeState};
use super::{cgroups, images, mounts};
use crate::programs::packages::{self, NodePrograms};

/// The longest path below the folder is the kubelet's device-plugin socket (36 bytes); a socket's path has 107 at most.
const LONGEST_FOLDER: usize = 70;

/// Can this machine run a real node? The error says why not and what would help.
pub fn preflight(folder: &Path) -> Result<NodePrograms> {
    if !packages::is_root() {
        bail!("a real node needs root (`sudo`): containers are made by containerd and the kubelet as root");
    }
    if folder.as_os_str().len() > LONGEST_FOLDER {
        bail!(
            "the path {} is too long for the sockets below it: set C7N_CACHE to a shorter one",
            folder.display()
        );
    }
    if !Path::new("/dev/kmsg").exists() {
        bail!("the kubelet needs /dev/kmsg, which this machine (a container?) lacks");
    }
    let probe = format!("c7n-probe-{}", std::process::id());
    cgroups::create(&probe)?;
    cgroups::remove(&probe);
    packages::ensure_node_programs()
}

pub fn socket(folder: &Path) -> PathBuf {
    folder.join("containerd.sock")
}

/// The cgroup of the cluster's pods.
pub fn cgroup(cluster: &str, node: &NodeState) -> String {
    format!("c7n-{}-{cluster}", node.slot)
}

/// The name containerd's network results are filed under.
pub fn network(cluster: &str, node: &NodeState) -> String {
    format!("c7n-{}-{cluster}", node.slot)
}

/// Writes containerd's configuration and the network's; returns containerd's arguments.
pub fn containerd_arguments(
    state: &ClusterState,
    node: &NodeState,
    programs: &NodePrograms,
) -> Result<Vec<String>> {
    let folder = &state.folder;
    let network_folder = folder.join("network");
    fs::create_dir_all(&network_folder)?;
    fs::write(
        network_folder.join("10-bridge.conflist"),
        format!("{:#}", bridge(state, node)),
    )
    .context("cannot write the network's configuration")?;
    let config = folder.join("containerd.toml");
    fs::write(
        &config,
        containerd_config(folder, &network_folder, &programs.network_plugins),
    )
    .context("cannot write containerd's configuration")?;
    Ok(vec!["--config".to_owned(), config.display().to_string()])
}

fn bridge(state: &ClusterState, node: &NodeState) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": network(&state.name, node),
        "plugins": [{
            "type": "bridge",
            "bridge": node.bridge(),
            "isGateway": true,
            "ipMasq": false,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "dataDir": state.folder.join("network/addresses"),
                "ranges": [[{ "subnet": node.subnet() }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    })
}

fn containerd_config(folder: &Path, network: &Path, plugins: &Path) -> String {
    // An overlay cannot lie on an overlay, as the root of a container often is one.
    let snapshotter = if mounts::is_overlay(folder) {
        "native"
    } else {
        "overlayfs"
    };
    let (folder, network, plugins) = (folder.display(), network.display(), plugins.display());
    let pause = images::PAUSE;
    // restrict_oom_score_adj: without CAP_SYS_RESOURCE (a sandbox, a container) no process may lower its score, and
    // runc ends with "can't get final child's PID".
    format!(
        r#"version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "{folder}/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  netns_mounts_under_state_dir = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{network}"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{folder}/runc"
        SystemdCgroup = false
"#
    )
}

/// Makes the cgroup and writes the kubelet's configuration; returns the kubelet's arguments.
pub fn kubelet_arguments(
    state: &ClusterState,
    node: &NodeState,
    certificates: &Certificates,
) -> Result<Vec<String>> {
    let cgroup = cgroup(&state.name, node);
    cgroups::create(&cgroup)?;
    let config = state.folder.join("kubelet.json");
    fs::write(
        &config,
        format!("{:#}", kubelet_config(state, &cgroup, certificates)),
    )
    .context("cannot write the kubelet's configuration")?;
    Ok(vec![
        format!("--config={}", config.display()),
        format!(
            "--kubeconfig={}",
            certificates.file("kubelet.kubeconfig").display()
        ),
        format!("--root-dir={}", state.folder.join("kubelet").display()),
        format!("--hostname-override={}", node.name),
        // The kubelet refuses a loopback address for its node; with this it leaves addresses to somebody else: to us.
        "--cloud-provider=external".to_owned(),
    ])
}

fn kubelet_config(state: &ClusterState, cgroup: &str, certificates: &Certificates) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": state.ports.kubelet,
        "healthzPort": 0,
        "tlsCertFile": certificates.file("kubelet-server.crt"),
        "tlsPrivateKeyFile": certificates.file("kubelet-server.key"),
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": false },
            "x509": { "clientCAFile": certificates.file("ca.crt") },
        },
        "authorization": { "mode": "AlwaysAllow" },
        "containerRuntimeEndpoint": format!("unix://{}", socket(&state.folder).display()),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        "makeIPTablesUtilChains": false,
        "localStorageCapacityIsolation": false,
        "evictionHard": {
            "memory.available": "10Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
        // The images are ours and cannot be pulled again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": false,
        "maxPods": 200,
        // A log that is measured is longer than what is usual.
        "containerLogMaxSize": "512Mi",
        "nodeStatusUpdateFrequency": "5s",
        "podLogsDir": state.folder.join("pod-logs"),
        "volumePluginDir": state.folder.join("volume-plugins"),
    })
}

/// What only a cloud provider would tell of a node: its addresses.
pub fn addresses(node: &NodeState) -> Value {
    json!({ "status": { "addresses": [
        { "type": "InternalIP", "address": "127.0.0.1" },
        { "type": "Hostname", "address": node.name },
    ]}})
}

/// The taint that waits for that provider.
pub const UNINITIALIZED_TAINT: &str = "node.cloudprovider.kubernetes.io/uninitialized";
