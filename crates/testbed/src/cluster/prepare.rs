//! Before a cluster starts: what it needs is found or built, and what it will use is written down.
//!
//! Minutes may pass here on a new machine; nothing runs yet, and nothing has to be undone.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::ports::Ports;
use super::process::ProcessId;
use super::state::{self, ClusterState, NodeState, Registry};
use super::{ClusterOptions, RealNode, node};
use crate::programs::packages::NodePrograms;
use crate::programs::{self, Program};

const REAL_NODE_NAME: &str = "node-1";

/// Programs built and found.
pub struct Programs {
    pub etcd: PathBuf,
    pub api_server: PathBuf,
    pub controller_manager: PathBuf,
    pub scheduler: PathBuf,
    pub kubectl: PathBuf,
    pub kwok: Option<PathBuf>,
    pub node: Option<RealNodePrograms>,
}

#[derive(Clone)]
pub struct RealNodePrograms {
    pub distribution: NodePrograms,
    pub kubelet: PathBuf,
    pub pause: PathBuf,
    pub sample: PathBuf,
}

pub fn find_node_programs(wanted: RealNode, folder: &Path) -> Result<Option<NodePrograms>> {
    match wanted {
        RealNode::Never => Ok(None),
        RealNode::Require => node::preflight(folder).map(Some).context("this machine cannot run a real node"),
        RealNode::Auto => Ok(node::preflight(folder)
            .inspect_err(|error| {
                eprintln!("NO REAL NODE: {error:#}\nGoing on with nodes that kwok plays: their pods are Ready, and run nothing.");
            })
            .ok()),
    }
}

pub async fn build_programs(kwok_nodes: u16, distribution: Option<NodePrograms>) -> Result<Programs> {
    Ok(Programs {
        etcd: programs::ensure(Program::Etcd).await?,
        api_server: programs::ensure(Program::KubeApiserver).await?,
        controller_manager: programs::ensure(Program::KubeControllerManager).await?,
        scheduler: programs::ensure(Program::KubeScheduler).await?,
        kubectl: programs::ensure(Program::Kubectl).await?,
        kwok: match kwok_nodes {
            0 => None,
            _ => Some(programs::ensure(Program::Kwok).await?),
        },
        node: match distribution {
            None => None,
            Some(distribution) => Some(RealNodePrograms {
                distribution,
                kubelet: programs::ensure(Program::Kubelet).await?,
                pause: programs::ensure(Program::Pause).await?,
                sample: programs::ensure(Program::Sample).await?,
            }),
        },
    })
}

/// Writes down what the cluster will use before it uses it, so that no other takes it.
pub fn reserve(
    registry: &Registry,
    options: &ClusterOptions,
    folder: PathBuf,
    real_node: bool,
) -> Result<ClusterState> {
    let folder = create_private(&folder)?;
    let _lock = registry.lock()?;
    let others = registry.all()?;
    let taken: BTreeSet<u16> = others.iter().flat_map(|other| other.ports.all()).collect();
    let slots: BTreeSet<u8> = others
        .iter()
        .filter_map(|other| Some(other.node.as_ref()?.slot))
        .collect();
    let node = if real_node {
        // A bridge of another user's cluster is not in this registry.
        let free =
            |slot: &u8| !slots.contains(slot) && !Path::new(&format!("/sys/class/net/c7nbr{slot}")).exists();
        let slot = (0..=u8::MAX)
            .find(free)
            .context("256 clusters have a real node already")?;
        Some(NodeState {
            name: REAL_NODE_NAME.to_owned(),
            slot,
        })
    } else {
        None
    };
    let state = ClusterState {
        name: options.name.clone(),
        folder,
        boot: state::boot(),
        // Ours until it runs: if this process dies on the way, the rest is swept away.
        owner: Some(ProcessId::current()?),
        ports: Ports::pick(&options.name, &taken)?,
        node,
        kwok_nodes: options.kwok_nodes,
        processes: Vec::new(),
    };
    registry.save(&state)?;
    Ok(state)
}

/// The folder's real path: mounts and processes are found by it later, and the kernel knows no symbolic links.
fn create_private(folder: &Path) -> Result<PathBuf> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .and_then(|()| folder.canonicalize())
        .with_context(|| format!("cannot create {}", folder.display()))
}
