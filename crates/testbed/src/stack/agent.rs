//! An agent that runs as a process beside its cluster.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::process::{Seat, program};
use super::{Binaries, Process};

#[derive(Debug, Clone)]
pub struct AgentOptions {
    pub connect: String,
    pub cluster_id: String,
    pub choerodon_id: String,
    pub kubeconfig: PathBuf,
    pub context: Option<String>,
    pub data: PathBuf,
    /// The program that changes Helm releases; `None` for what lies beside the agent.
    pub helm_worker: Option<PathBuf>,
    /// Further arguments, for instance `--git-transport http`.
    pub arguments: Vec<String>,
    /// Further variables, for instance of a proxy.
    pub environment: Vec<(String, String)>,
}

pub struct Agent {
    binaries: Binaries,
    options: AgentOptions,
    log: PathBuf,
    seat: Seat,
}

impl Agent {
    /// The token is needed the first time; afterwards the agent has a credential of its own in its data folder.
    pub fn start(binaries: &Binaries, options: AgentOptions, token: &str, log: &Path) -> Result<Self> {
        std::fs::create_dir_all(&options.data)?;
        Ok(Self {
            seat: Seat::taken_by(spawn(binaries, &options, log, Some(token))?),
            binaries: binaries.clone(),
            options,
            log: log.to_path_buf(),
        })
    }

    /// After `kill` or `stop`, with what its data folder holds.
    pub fn restart(&mut self) -> Result<()> {
        self.seat = Seat::taken_by(spawn(&self.binaries, &self.options, &self.log, None)?);
        Ok(())
    }

    /// `kill -9`.
    pub async fn kill(&mut self) -> Result<()> {
        self.seat.kill().await
    }

    pub async fn stop(&mut self) -> Result<()> {
        self.seat.stop().await
    }

    pub fn process(&mut self) -> Result<&mut Process> {
        self.seat.process()
    }

    pub fn pid(&self) -> Option<u32> {
        self.seat.pid()
    }

    pub fn log(&self) -> &Path {
        &self.log
    }
}

fn spawn(binaries: &Binaries, options: &AgentOptions, log: &Path, token: Option<&str>) -> Result<Process> {
    let mut command = program(&binaries.agent);
    command
        .args(["--connect", &options.connect])
        .args(["--cluster-id", &options.cluster_id])
        .args(["--choerodon-id", &options.choerodon_id])
        .arg("--kubeconfig")
        .arg(&options.kubeconfig)
        .arg("--data-dir")
        .arg(&options.data)
        .args(&options.arguments);
    command.envs(options.environment.iter().cloned());
    if let Some(context) = &options.context {
        command.args(["--context", context]);
    }
    if let Some(worker) = &options.helm_worker {
        command.env("C7N_HELM_WORKER", worker);
    }
    if let Some(token) = token {
        command.env("C7N_TOKEN", token);
    }
    Process::start("c7n-agent", &mut command, log)
}
