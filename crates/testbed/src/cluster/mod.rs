//! Kubernetes clusters on this machine, each alone with its own programs, certificates, ports and folder.
//!
//! In: a name and which nodes it shall have. Out: a kubeconfig of a cluster that is Ready. Never: a process, mount or
//! file left over after [`LocalCluster::stop`]; a port open to other machines; a signal to a process not ours.
//!
//! ```text
//! start ─> state.json ─> etcd ─> API server ─> controllers, scheduler ─┬─> kwok (nodes that are played)
//!                                             containerd ─> images ────┴─> kubelet (a node that is real)
//! ```
//!
//! A cluster belongs to the process that started it, and goes with it ([`Lifetime::WithProcess`]), or it stays until it
//! is stopped by name ([`Lifetime::UntilStopped`]). If the owner was killed, the next start of any cluster, or
//! [`sweep`], removes the rest.
//!
//! What differs from a cluster elsewhere: no kube-proxy and no DNS, so service addresses do not route; the API server
//! listens on loopback only, so a pod that talks to it uses the host's network; images come from this machine alone.
//! A kubelet sets some kernel settings of the machine (`vm.overcommit_memory`, `kernel.panic`), the network's bridge turns IP
//! forwarding on, and where only a few files may be watched ([`watches`]), that limit is raised. Every kubelet makes `/var/lib/kubelet/device-plugins`, wherever its other files are: that
//! folder stays, and device plugins are of no use with more than one cluster.

mod certificates;
mod cgroups;
mod control_plane;
mod handle;
mod images;
mod kubeconfig;
mod kwok;
mod mounts;
mod node;
mod ports;
mod prepare;
mod process;
mod ready;
mod start;
mod state;
mod stop;
mod storage;
mod wait;
mod watches;

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub use control_plane::ENDS_LABEL;
pub use handle::ClusterHandle;
pub use images::SAMPLE as SAMPLE_IMAGES;
pub use ports::Ports;
pub use process::{ProcessId, Running};
pub use state::{ClusterState, NodeState};

use state::Registry;
use stop::Leave;

/// A hundred megabytes, unpacked on a busy machine.
const IMPORT_DEADLINE: Duration = Duration::from_secs(180);

/// Shall containers really run?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RealNode {
    /// If this machine can; says loudly why if not.
    #[default]
    Auto,
    /// An error if this machine cannot.
    Require,
    Never,
}

/// How long a cluster stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// Until dropped or stopped, or swept away after this process died.
    #[default]
    WithProcess,
    /// Until somebody stops it by its name.
    UntilStopped,
}

/// What is told while a cluster starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    #[default]
    Silent,
    /// A line with its time per step, on standard error.
    Lines,
}

impl Progress {
    fn step(self, what: &str, took: Duration) {
        if self == Progress::Lines {
            eprintln!("  {:>5.1} s  {what}", took.as_secs_f32());
        }
    }
}

#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Up to 40 lower-case letters, digits and dashes; one cluster per name.
    pub name: String,
    pub real_node: RealNode,
    /// How many nodes kwok plays. Beside a real node they are tainted, and take only pods that tolerate it.
    pub kwok_nodes: u16,
    /// The folder that holds the cluster's folder; `None` for the cache.
    pub data_root: Option<PathBuf>,
    pub lifetime: Lifetime,
    pub progress: Progress,
}

impl ClusterOptions {
    /// A real node if possible, one played node, gone with this process, silent.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            real_node: RealNode::default(),
            kwok_nodes: 1,
            data_root: None,
            lifetime: Lifetime::default(),
            progress: Progress::default(),
        }
    }
}

/// A cluster of ours that runs.
pub struct LocalCluster {
    registry: Registry,
    state: ClusterState,
    handle: ClusterHandle,
    children: Vec<Child>,
    on_drop: OnDrop,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OnDrop {
    Stop,
    Leave,
}

impl LocalCluster {
    /// Starts a cluster and waits until its nodes are Ready. Builds programs that are missing first, which takes minutes
    /// on a new machine.
    pub async fn start(options: ClusterOptions) -> Result<Self> {
        state::check_name(&options.name)?;
        let registry = Registry::open()?;
        let (registry, lock) = blocking({
            let name = options.name.clone();
            move || {
                sweep_registry(&registry)?;
                let lock = registry.lock_cluster(&name)?;
                make_room(&registry, &name)?;
                Ok((registry, lock))
            }
        })
        .await?;
        let started = start::start(&registry, &options).await?;
        drop(lock);
        let on_drop = match options.lifetime {
            Lifetime::WithProcess => OnDrop::Stop,
            Lifetime::UntilStopped => OnDrop::Leave,
        };
        let start::Started {
            state,
            children,
            handle,
        } = started;
        Ok(Self {
            registry,
            state,
            handle,
            children,
            on_drop,
        })
    }

    /// A cluster that was started by another process, or earlier by this one. Dropping it leaves the cluster running.
    pub async fn attach(name: &str) -> Result<Self> {
        let registry = Registry::open()?;
        let Some(state) = registry.load(name)?.filter(ClusterState::is_running) else {
            bail!("no cluster {name} runs here: start it with `cargo xtask cluster up --name {name}`");
        };
        let kubectl = crate::programs::ensure(crate::programs::Program::Kubectl).await?;
        let handle = ClusterHandle::local(state.kubeconfig(), kubectl);
        Ok(Self {
            registry,
            state,
            handle,
            children: Vec::new(),
            on_drop: OnDrop::Leave,
        })
    }

    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// How to reach it.
    pub fn handle(&self) -> &ClusterHandle {
        &self.handle
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.handle.kubeconfig
    }

    pub fn has_real_node(&self) -> bool {
        self.state.node.is_some()
    }

    /// Hands the images of an OCI archive to the real node.
    pub async fn import_images(&self, archive: &Path) -> Result<()> {
        import_images(&self.state, archive).await
    }

    /// Ports, processes, folder.
    pub fn state(&self) -> &ClusterState {
        &self.state
    }

    /// Ends all its processes and removes all its files.
    pub async fn stop(mut self) -> Result<()> {
        self.on_drop = OnDrop::Leave;
        blocking(move || self.stop_now()).await
    }

    fn stop_now(&mut self) -> Result<()> {
        let _lock = self.registry.lock_cluster(&self.state.name)?;
        stop::stop(&self.registry, &self.state, &mut self.children, Leave::Nothing)
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        if self.on_drop == OnDrop::Stop
            && let Err(error) = self.stop_now()
        {
            eprintln!("the cluster {} could not be stopped: {error:#}", self.state.name);
        }
    }
}

/// Hands the images of an OCI archive to the real node of the local cluster that has this kubeconfig. `false` if it has no
/// real node, or is no cluster of this machine.
pub async fn import_images_by_kubeconfig(kubeconfig: &Path, archive: &Path) -> Result<bool> {
    let wanted = kubeconfig
        .canonicalize()
        .unwrap_or_else(|_| kubeconfig.to_owned());
    let state = list()?.into_iter().find(|state| {
        state
            .kubeconfig()
            .canonicalize()
            .is_ok_and(|found| found == wanted)
    });
    match state {
        Some(state) if state.node.is_some() => import_images(&state, archive).await.map(|()| true),
        _ => Ok(false),
    }
}

async fn import_images(state: &ClusterState, archive: &Path) -> Result<()> {
    if state.node.is_none() {
        bail!(
            "the cluster {} has no real node, so there is nothing to run images on",
            state.name
        );
    }
    let ctr = crate::programs::packages::find("ctr").context("`ctr` is missing: install containerd")?;
    tokio::time::timeout(IMPORT_DEADLINE, ready::import(&state.folder, &ctr, archive))
        .await
        .context("containerd did not take the images in time")?
}

/// All clusters of this user on this machine, whether they run or not.
pub fn list() -> Result<Vec<ClusterState>> {
    Registry::open()?.all()
}

/// Stops a cluster by its name, whoever started it and whatever is left of it. `false` if there is none.
pub async fn stop_by_name(name: &str) -> Result<bool> {
    state::check_name(name)?;
    let name = name.to_owned();
    blocking(move || {
        let registry = Registry::open()?;
        let _lock = registry.lock_cluster(&name)?;
        let Some(state) = registry.load(&name)? else {
            return Ok(false);
        };
        stop::stop(&registry, &state, &mut Vec::new(), Leave::Nothing)?;
        Ok(true)
    })
    .await
}

/// Stops every cluster whose owner died; returns their names.
pub async fn sweep() -> Result<Vec<String>> {
    blocking(|| sweep_registry(&Registry::open()?)).await
}

fn sweep_registry(registry: &Registry) -> Result<Vec<String>> {
    let mut swept = Vec::new();
    for orphan in registry.all()?.into_iter().filter(ClusterState::is_orphan) {
        let _lock = registry.lock_cluster(&orphan.name)?;
        // Another process may have swept it, or started it anew, before the lock was ours.
        if let Some(state) = registry.load(&orphan.name)?.filter(ClusterState::is_orphan) {
            stop::stop(registry, &state, &mut Vec::new(), Leave::Nothing)
                .with_context(|| format!("cannot remove the rest of the cluster {}", state.name))?;
            swept.push(orphan.name);
        }
    }
    Ok(swept)
}

/// A cluster of that name may have been left by a reboot or a crash of its programs; a living one is kept.
fn make_room(registry: &Registry, name: &str) -> Result<()> {
    match registry.load(name)? {
        Some(state) if state.is_running() => {
            bail!(
                "a cluster {name} runs already: use it, or stop it with `cargo xtask cluster down --name {name}`"
            )
        }
        Some(state) => stop::stop(registry, &state, &mut Vec::new(), Leave::Nothing),
        None => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("the work was cancelled")?
}
