mod activation;
mod create;
mod delete;
mod doctor;
mod list;
mod show;

use anyhow::Result;
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
        Cluster::Doctor(command) => doctor::run(global, command).await,
        Cluster::Delete(command) => delete::run(global, command).await,
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
            dash(self.agent_version.as_deref()),
            format!("{ready}/{}", self.nodes.len()),
            self.last_seen_ms
                .map_or_else(|| "never".to_owned(), |seen| format!("{} ago", age(seen))),
        ]
    }
}
