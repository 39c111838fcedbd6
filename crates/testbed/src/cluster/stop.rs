//! Ends a cluster and removes what it left: processes, mounts, cgroups, network, files.
//!
//! Works from the cluster's state alone, so that any process can do it, also long after the starter died. Nothing of a
//! cluster is worth a graceful end: everything is killed at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::process::{self, ProcessId};
use super::state::{self, ClusterState, NodeState, Registry};
use super::{cgroups, mounts, node};
use crate::programs::packages;

const KILL_DEADLINE: Duration = Duration::from_secs(20);
const CONTAINERD_TASKS: &str = "containerd-state/io.containerd.runtime.v2.task/k8s.io";
const CONTAINERD_SANDBOXES: &str = "containerd/io.containerd.grpc.v1.cri/sandboxes";

/// What remains of the cluster's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Nothing,
    /// After a failed start: its logs say why.
    Logs,
}

/// The caller holds the cluster's lock. `children` are those of its programs that this process started.
pub(super) fn stop(
    registry: &Registry,
    state: &ClusterState,
    children: &mut Vec<Child>,
    leave: Leave,
) -> Result<()> {
    let outside = state.node.as_ref().map(|node| Outside::of(state, node));
    kill_everything(state, children)?;
    unmount_everything(&state.folder)?;
    if let Some(outside) = outside {
        outside.remove(&state.folder)?;
    }
    remove_folder(&state.folder, leave)?;
    registry.forget(&state.name)
}

fn kill_everything(state: &ClusterState, children: &mut Vec<Child>) -> Result<()> {
    let deadline = Instant::now() + KILL_DEADLINE;
    loop {
        // A child that ended is a zombie until its parent asks.
        children.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
        let living = living(state);
        if living.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let pids: Vec<String> = living.iter().map(|process| process.pid.to_string()).collect();
            bail!(
                "processes of the cluster {} do not die: {}",
                state.name,
                pids.join(", ")
            );
        }
        living.iter().for_each(|process| process.kill());
        thread::sleep(Duration::from_millis(20));
    }
}

/// What was recorded, what carries the mark (containers' shims), and what runs in the pods' cgroup.
fn living(state: &ClusterState) -> Vec<ProcessId> {
    let mut living: Vec<ProcessId> = process::marked(&state.folder).into_iter().collect();
    if state.boot == state::boot() {
        living.extend(
            state
                .processes
                .iter()
                .map(|running| running.process)
                .filter(|process| process.is_alive()),
        );
    }
    if let Some(node) = &state.node {
        living.extend(cgroups::processes(&node::cgroup(&state.name, node)));
    }
    living
}

fn unmount_everything(folder: &Path) -> Result<()> {
    let deadline = Instant::now() + KILL_DEADLINE;
    loop {
        let targets = mounts::below(folder)?;
        if targets.is_empty() {
            return Ok(());
        }
        // What is mounted may be a folder of the user's: files are removed only when nothing is left mounted.
        if Instant::now() > deadline {
            bail!(
                "{} is still mounted: unmount it, then try again",
                targets[0].display()
            );
        }
        for target in &targets {
            mounts::detach(target)?;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// What a node has outside its cluster's folder; read before anything is killed.
struct Outside {
    cgroup: String,
    bridge: String,
    network: String,
    shim_sockets: Vec<PathBuf>,
    sandboxes: Vec<String>,
}

impl Outside {
    fn of(state: &ClusterState, node: &NodeState) -> Self {
        let shim_sockets = children_of(&state.folder.join(CONTAINERD_TASKS))
            .iter()
            .filter_map(|task| fs::read_to_string(task.join("address")).ok())
            .filter_map(|address| address.trim().strip_prefix("unix://").map(PathBuf::from))
            .collect();
        let sandboxes = children_of(&state.folder.join(CONTAINERD_SANDBOXES))
            .iter()
            .filter_map(|path| name(path))
            .collect();
        Self {
            cgroup: node::cgroup(&state.name, node),
            bridge: node.bridge(),
            network: node::network(&state.name, node),
            shim_sockets,
            sandboxes,
        }
    }

    fn remove(&self, folder: &Path) -> Result<()> {
        let deadline = Instant::now() + KILL_DEADLINE;
        while !cgroups::remove(&self.cgroup) {
            if Instant::now() > deadline {
                bail!("the cgroup {} does not go away", self.cgroup);
            }
            thread::sleep(Duration::from_millis(20));
        }
        remove_bridge(&self.bridge)?;
        for socket in &self.shim_sockets {
            let _ = fs::remove_file(socket);
        }
        let network = format!("{}-", self.network);
        for path in children_of(Path::new("/var/lib/cni/results")) {
            let ours = name(&path).is_some_and(|name| {
                name.starts_with(&network) || self.sandboxes.iter().any(|id| name.contains(id))
            });
            if ours {
                let _ = fs::remove_file(path);
            }
        }
        // The kubelet links every container's log here, whatever its own folders are.
        for path in children_of(Path::new("/var/log/containers")) {
            if fs::read_link(&path).is_ok_and(|target| target.starts_with(folder)) {
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }
}

fn remove_bridge(bridge: &str) -> Result<()> {
    let present = || Path::new("/sys/class/net").join(bridge).exists();
    if !present() {
        return Ok(());
    }
    let ip = packages::find("ip")
        .context("`ip` (package iproute2) is gone: the network bridge cannot be removed")?;
    let status = Command::new(ip)
        .args(["link", "delete", bridge])
        .stdin(Stdio::null())
        .status();
    if present() {
        bail!("the network bridge {bridge} cannot be removed ({status:?})");
    }
    Ok(())
}

fn remove_folder(folder: &Path, leave: Leave) -> Result<()> {
    for path in children_of(folder) {
        if leave == Leave::Logs && path.ends_with("logs") {
            continue;
        }
        let removed = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    let _ = fs::remove_dir(folder);
    Ok(())
}

fn children_of(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

fn name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}
