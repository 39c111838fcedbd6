mod activation;
mod create;
mod delete;
mod doctor;
mod list;
mod show;
mod upgrade_agent;

use anyhow::Result;
use c7n_api::AgentSupport;
use clap::Subcommand;

use super::Global;
use crate::output::{Row, age, dash, word};

#[derive(Subcommand)]
pub enum Cluster {
    /// Create the record of a cluster; `activation` then joins it
    Create(create::Create),
    /// List the clusters of a project
    List,
    /// Show one cluster with its nodes
    Show(show::Show),
    /// Print the command that joins a cluster; makes a new token each time
    Activation(activation::Activation),
    /// Put another version of the agent in its own place; it takes the old one back if the new one does not report
    UpgradeAgent(upgrade_agent::UpgradeAgent),
    /// Before installing: does everything fit? Looks from this shell at the platform and at the cluster
    Doctor(doctor::Doctor),
    /// Delete a cluster that has no environments
    Delete(delete::Delete),
}

pub async fn run(global: &Global, command: Cluster) -> Result<()> {
    match command {
        Cluster::Create(command) => create::run(global, command).await,
        Cluster::List => list::run(global).await,
        Cluster::Show(command) => show::run(global, command).await,
        Cluster::Activation(command) => activation::run(global, command).await,
        Cluster::UpgradeAgent(command) => upgrade_agent::run(global, command).await,
        Cluster::Doctor(command) => doctor::run(global, command).await,
        Cluster::Delete(command) => delete::run(global, command).await,
    }
}

/// The agent's version, and what is to be said of it.
fn agent(cluster: &c7n_api::Cluster) -> String {
    let version = dash(cluster.agent_version.as_deref());
    match cluster.agent_support {
        Some(support @ (AgentSupport::Outdated | AgentSupport::TooOld)) => {
            format!("{version} ({})", word(&support))
        }
        _ => version,
    }
}

impl Row for c7n_api::Cluster {
    const HEAD: &'static [&'static str] = &["NAME", "STATE", "KUBERNETES", "AGENT", "NODES", "LAST SEEN"];
    fn cells(&self) -> Vec<String> {
        let ready = self.nodes.iter().filter(|node| node.ready).count();
        vec![
            self.name.clone(),
            word(&self.state),
            dash(self.kubernetes_version.as_deref()),
            agent(self),
            format!("{ready}/{}", self.nodes.len()),
            self.last_seen_ms
                .map_or_else(|| "never".to_owned(), |seen| format!("{} ago", age(seen))),
        ]
    }
}
