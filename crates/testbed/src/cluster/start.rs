//! Starts a cluster: what can go side by side does, and every wait ends with a deadline or with the program's death.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::certificates::Certificates;
use super::handle::ClusterHandle;
use super::prepare::{self, Programs};
use super::process::{Launcher, Running};
use super::state::{ClusterState, Registry};
use super::stop::{self, Leave};
use super::{ClusterOptions, Lifetime, Progress, control_plane, kwok, node, ready, storage, wait, watches};

const CONTROL_PLANE_DEADLINE: Duration = Duration::from_secs(90);
const NODE_DEADLINE: Duration = Duration::from_secs(90);

/// A cluster that runs.
pub(super) struct Started {
    pub state: ClusterState,
    pub children: Vec<Child>,
    pub handle: ClusterHandle,
}

pub(super) async fn start(registry: &Registry, options: &ClusterOptions) -> Result<Started> {
    let folder = match &options.data_root {
        Some(root) => root.join(&options.name),
        None => registry.folder(&options.name),
    };
    let distribution = prepare::find_node_programs(options.real_node, &folder)?;
    if distribution.is_none() && options.kwok_nodes == 0 {
        bail!("the cluster would have no node: allow kwok nodes, or a real one");
    }
    let programs = prepare::build_programs(options.kwok_nodes, distribution).await?;
    let state = prepare::reserve(registry, options, folder, programs.node.is_some())?;
    let mut starting = Starting::new(registry, state, options.progress, programs)?;
    match starting.run(options.lifetime).await {
        Ok(handle) => Ok(Started {
            state: starting.state,
            children: starting.children,
            handle,
        }),
        Err(error) => {
            let Starting {
                state, mut children, ..
            } = starting;
            if let Err(second) = stop::stop(registry, &state, &mut children, Leave::Logs) {
                eprintln!("the cluster that failed to start could not be removed: {second:#}");
            }
            Err(error.context(format!("the cluster {} did not start", state.name)))
        }
    }
}

/// A cluster on its way.
struct Starting<'a> {
    registry: &'a Registry,
    state: ClusterState,
    children: Vec<Child>,
    launcher: Launcher,
    progress: Progress,
    programs: Programs,
    step_begun: Instant,
}

impl<'a> Starting<'a> {
    fn new(
        registry: &'a Registry,
        state: ClusterState,
        progress: Progress,
        programs: Programs,
    ) -> Result<Self> {
        let logs = state.folder.join("logs");
        let _ = fs::remove_dir_all(&logs);
        fs::create_dir(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
        let launcher = Launcher::new(&state.folder);
        Ok(Self {
            registry,
            state,
            children: Vec::new(),
            launcher,
            progress,
            programs,
            step_begun: Instant::now(),
        })
    }

    async fn run(&mut self, lifetime: Lifetime) -> Result<ClusterHandle> {
        let certificates = Certificates::create(
            &self.state.folder.join("pki"),
            self.state.node.as_ref().map(|node| node.name.as_str()),
        )?;
        control_plane::write_kubeconfigs(&self.state, &certificates)?;
        let handle = ClusterHandle::local(self.state.kubeconfig(), self.programs.kubectl.clone());
        self.step("certificates");

        let (etcd, api_server) = self.launch_api(&certificates)?;
        let containerd = match (self.programs.node.clone(), self.state.node.clone()) {
            (Some(programs), Some(node)) => {
                watches::allow_many();
                let arguments = node::containerd_arguments(&self.state, &node, &programs.distribution)?;
                Some((
                    self.launch(&programs.distribution.containerd, arguments)?,
                    programs,
                    node,
                ))
            }
            _ => None,
        };
        if let Some((containerd, programs, _)) = &containerd {
            let import = ready::import_images(&self.state.folder, programs);
            wait::while_alive("containerd and its images", &[containerd], NODE_DEADLINE, import).await?;
            self.step("containerd, images");
        }
        let ready = ready::api(&handle, self.state.ports.api);
        wait::while_alive(
            "the API server",
            &[&etcd, &api_server],
            CONTROL_PLANE_DEADLINE,
            ready,
        )
        .await?;
        self.step("etcd, API server");

        let controllers = self.launch_controllers(&certificates)?;
        let mut needed: Vec<&Running> = vec![&etcd, &api_server];
        needed.extend(&controllers);
        let kubelet = match &containerd {
            Some((_, programs, node)) => {
                let arguments = node::kubelet_arguments(&self.state, node, &certificates)?;
                Some(self.launch(&programs.kubelet, arguments)?)
            }
            None => None,
        };
        needed.extend(&kubelet);
        self.create_objects(&handle).await?;
        wait::while_alive(
            "controllers",
            &needed,
            CONTROL_PLANE_DEADLINE,
            ready::service_account(&handle),
        )
        .await?;
        self.step("controllers, scheduler, volumes");
        if self.state.kwok_nodes > 0 {
            wait::while_alive(
                "kwok's nodes",
                &needed,
                NODE_DEADLINE,
                ready::nodes(&handle, "--selector=type=kwok"),
            )
            .await?;
            self.step("kwok nodes");
        }
        if let Some((_, _, node)) = &containerd {
            wait::while_alive(
                "the real node",
                &needed,
                NODE_DEADLINE,
                ready::real_node(&handle, node),
            )
            .await?;
            self.step("real node");
        }

        if lifetime == Lifetime::UntilStopped {
            self.state.owner = None;
        }
        self.registry.save(&self.state)?;
        Ok(handle)
    }

    fn launch_api(&mut self, certificates: &Certificates) -> Result<(Running, Running)> {
        let ports = self.state.ports;
        let etcd = self.programs.etcd.clone();
        let etcd = self.launch(
            &etcd,
            control_plane::etcd_arguments(&self.state.folder, &ports, certificates),
        )?;
        let api_server = self.programs.api_server.clone();
        let api_server = self.launch(
            &api_server,
            control_plane::api_server_arguments(&ports, certificates),
        )?;
        Ok((etcd, api_server))
    }

    fn launch_controllers(&mut self, certificates: &Certificates) -> Result<Vec<Running>> {
        let manager = self.programs.controller_manager.clone();
        let arguments = control_plane::controller_manager_arguments(&self.state.folder, certificates)?;
        let manager = self.launch(&manager, arguments)?;
        let scheduler = self.programs.scheduler.clone();
        let scheduler = self.launch(&scheduler, control_plane::scheduler_arguments(certificates))?;
        let mut running = vec![manager, scheduler];
        if let Some(program) = self.programs.kwok.clone() {
            running.push(self.launch(&program, kwok::arguments(&self.state, certificates)?)?);
        }
        Ok(running)
    }

    fn launch(&mut self, program: &Path, arguments: Vec<String>) -> Result<Running> {
        let (running, child) = self.launcher.launch(program, arguments)?;
        self.children.push(child);
        self.state.processes.push(running.clone());
        self.registry.save(&self.state)?;
        Ok(running)
    }

    async fn create_objects(&self, handle: &ClusterHandle) -> Result<()> {
        let mut objects = storage::create_pool(&self.state.folder)?;
        objects.extend(kwok::nodes(&self.state));
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        handle
            .kubectl_with_input(["create", "-f", "-"], list.to_string().as_bytes())
            .await?;
        Ok(())
    }

    fn step(&mut self, what: &str) {
        self.progress.step(what, self.step_begun.elapsed());
        self.step_begun = Instant::now();
    }
}
