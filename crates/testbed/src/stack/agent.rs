//! An agent that runs as a process beside its cluster.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use super::{Binaries, Process};

#[derive(Debug, Clone)]
pub struct AgentOptions {
    pub connect: String,
    pub cluster_id: String,
    pub choerodon_id: String,
    pub kubeconfig: PathBuf,
    pub context: Option<String>,
    pub data: PathBuf,
    /// Further arguments, for instance `--git-transport http`.
    pub arguments: Vec<String>,
}

pub struct Agent {
    binaries: Binaries,
    options: AgentOptions,
    log: PathBuf,
    process: Option<Process>,
}

impl Agent {
    /// The token is needed the first time; afterwards the agent has a credential of its own in its data folder.
    pub fn start(binaries: &Binaries, options: AgentOptions, token: &str, log: &Path) -> Result<Self> {
        std::fs::create_dir_all(&options.data)?;
        let mut agent = Self {
            binaries: binaries.clone(),
            options,
            log: log.to_path_buf(),
            process: None,
        };
        agent.spawn(Some(token))?;
        Ok(agent)
    }

    /// After `kill` or `stop`, with what its data folder holds.
    pub fn restart(&mut self) -> Result<()> {
        self.spawn(None)
    }

    /// `kill -9`.
    pub async fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    pub async fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.stop().await.map(drop),
            None => Ok(()),
        }
    }

    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the agent is not running")
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    fn spawn(&mut self, token: Option<&str>) -> Result<()> {
        let options = &self.options;
        let mut command = Command::new(&self.binaries.agent);
        command
            .args(["--connect", &options.connect])
            .args(["--cluster-id", &options.cluster_id])
            .args(["--choerodon-id", &options.choerodon_id])
            .arg("--kubeconfig")
            .arg(&options.kubeconfig)
            .arg("--data-dir")
            .arg(&options.data)
            .args(&options.arguments)
            .env(
                "C7N_LOG",
                std::env::var("C7N_LOG").unwrap_or_else(|_| "info".to_owned()),
            );
        if let Some(context) = &options.context {
            command.args(["--context", context]);
        }
        if let Some(token) = token {
            command.env("C7N_TOKEN", token);
        }
        self.process = Some(Process::start("c7n-agent", &mut command, &self.log)?);
        Ok(())
    }
}
