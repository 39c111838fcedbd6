//! Joins a cluster as a person does: its record, its activation, an agent beside it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use c7n_api::{Activation, Cluster, ClusterState};

use crate::programs::{self, Program};

use super::{Agent, AgentOptions, Cli, Server, eventually};

/// Which cluster, and what its agent is given.
pub struct Joining<'a> {
    pub project: &'a str,
    pub cluster: &'a str,
    pub kubeconfig: &'a Path,
    /// `None` for the kubeconfig's current one.
    pub context: Option<&'a str>,
    /// Holds `agent-CLUSTER` and its log.
    pub folder: &'a Path,
    /// Further arguments, for instance `--git-transport http`.
    pub arguments: &'a [&'a str],
    /// Address to dial; `None` for the server's own.
    pub connect: Option<&'a str>,
    /// Further variables, for instance of a proxy.
    pub environment: &'a [(&'a str, &'a str)],
    pub patience: Duration,
}

impl Joining<'_> {
    /// Returns when the platform shows the cluster running.
    pub async fn join(&self, server: &Server) -> Result<Agent> {
        let (cli, cluster) = (server.cli(), self.cluster);
        cli.run(&["cluster", "create", "-p", self.project, cluster])
            .await?;
        let activation: Activation = cli
            .json(&["cluster", "activation", "-p", self.project, cluster])
            .await?;
        let helm_worker = programs::ensure(Program::HelmWorker).await?;
        let options = AgentOptions {
            helm_worker: Some(helm_worker),
            connect: self.connect.map_or_else(|| server.connect(), str::to_owned),
            cluster_id: activation.cluster_id,
            choerodon_id: activation.choerodon_id,
            kubeconfig: self.kubeconfig.to_path_buf(),
            context: self.context.map(str::to_owned),
            data: self.folder.join(format!("agent-{cluster}")),
            arguments: self
                .arguments
                .iter()
                .map(|argument| (*argument).to_owned())
                .collect(),
            environment: self
                .environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let log = self.folder.join(format!("agent-{cluster}.log"));
        let mut agent = Agent::start(server.binaries(), options, &activation.token, &log)?;
        let running = ClusterState::Running;
        match cluster_becomes(&cli, (self.project, cluster), running, self.patience).await {
            Ok(()) => Ok(agent),
            Err(error) => Err(error.context(agent.process()?.tail())),
        }
    }
}

/// Waits until the platform shows the cluster of this project so.
pub async fn cluster_becomes(
    cli: &Cli,
    (project, cluster): (&str, &str),
    state: ClusterState,
    patience: Duration,
) -> Result<()> {
    let what = format!("cluster {cluster} becomes {state:?}");
    eventually(&what, patience, || async {
        let seen: Cluster = cli.json(&["cluster", "show", "-p", project, cluster]).await?;
        ensure!(seen.state == state, "it is {:?}: {:?}", seen.state, seen.message);
        Ok(())
    })
    .await
}
