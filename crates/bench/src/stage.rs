//! A platform, an agent and a joined cluster, ready to be measured.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use c7n_api::Environment;
use c7n_testbed::stack::{Access, Agent, Binaries, Cli, Joining, Server, ServerOptions, WorkingCopy};

const PATIENCE: Duration = Duration::from_secs(120);
pub const PROJECT: &str = "bench";

pub struct Stage {
    pub server: Server,
    pub cli: Cli,
    pub access: Access,
    pub folder: tempfile::TempDir,
    agent: Agent,
}

impl Stage {
    pub async fn set(kubeconfig: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("c7n-bench-").tempdir()?;
        let binaries = Binaries::beside_me()?;
        let options = ServerOptions {
            // One person is a crowd here.
            arguments: ["--streams-per-user", "8000", "--streams-per-cluster", "8000"]
                .map(str::to_owned)
                .to_vec(),
            ..ServerOptions::new()?
        };
        let server = Server::start_with(&binaries, &folder.path().join("platform"), options).await?;
        let cli = server.cli();
        let (access, public) =
            Access::new_ssh_key(&folder.path().join("person"), server.ssh_address()).await?;
        cli.run(&["key", "add", &public.to_string_lossy()]).await?;
        cli.run(&["project", "create", PROJECT]).await?;
        let joining = Joining {
            project: PROJECT,
            cluster: "east",
            kubeconfig,
            context: None,
            folder: folder.path(),
            arguments: &[],
            connect: None,
            environment: &[],
            patience: PATIENCE,
        };
        let agent = joining.join(&server).await?;
        Ok(Self {
            server,
            cli,
            access,
            folder,
            agent,
        })
    }

    pub fn agent_pid(&self) -> Result<u32> {
        self.agent.pid().context("the agent has ended")
    }

    pub async fn create(&self, name: &str) -> Result<(Environment, WorkingCopy)> {
        let environment: Environment = self
            .cli
            .json(&["env", "create", "-p", PROJECT, name, "--cluster", "east"])
            .await?;
        let folder = self.folder.path().join("work").join(name);
        let copy = WorkingCopy::init(&folder, &environment.repository.ssh_url, self.access.clone()).await?;
        Ok((environment, copy))
    }

    pub async fn converges(&self, name: &str, commit: &str) -> Result<()> {
        let seconds = PATIENCE.as_secs().to_string();
        let watch = [
            "env",
            "watch",
            "-p",
            PROJECT,
            name,
            "--until",
            "converged",
            "--commit",
            commit,
            "--timeout",
            &seconds,
        ];
        self.cli.run(&watch).await.map(drop)
    }

    pub async fn clear(mut self) -> Result<()> {
        self.agent.stop().await?;
        self.server.stop().await
    }
}

pub fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: {value:?}\n")
}
