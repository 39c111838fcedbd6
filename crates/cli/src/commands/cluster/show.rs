use anyhow::Result;
use c7n_api::{Cluster, Node};

use super::Global;
use crate::output::{self, Format, Row};

#[derive(clap::Args)]
pub struct Show {
    name: String,
}

pub async fn run(global: &Global, show: Show) -> Result<()> {
    let cluster: Cluster = global
        .client()?
        .get(&["projects", global.project()?, "clusters", &show.name], &[])
        .await?;
    output::print_one(global.output, &cluster)?;
    if global.output == Format::Table {
        if let Some(message) = &cluster.message {
            println!("\n{message}");
        }
        if !cluster.nodes.is_empty() {
            println!();
            output::print_list(Format::Table, &cluster.nodes)?;
        }
    }
    Ok(())
}

impl Row for Node {
    const HEAD: &'static [&'static str] = &["NODE", "READY", "KUBELET"];
    fn cells(&self) -> Vec<String> {
        let ready = if self.ready { "yes" } else { "no" };
        vec![self.name.clone(), ready.to_owned(), self.kubelet_version.clone()]
    }
}
