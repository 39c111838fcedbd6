use anyhow::Result;
use c7n_api::{Cluster, NewCluster};

use super::Global;
use crate::output;

#[derive(clap::Args)]
pub struct Create {
    name: String,
}

pub async fn run(global: &Global, create: Create) -> Result<()> {
    let project = global.project()?;
    let body = NewCluster { name: create.name };
    let cluster: Cluster = global
        .client()?
        .post(&["projects", project, "clusters"], &body)
        .await?;
    output::print_one(global.output, &cluster)?;
    eprintln!(
        "next: `c7n cluster activation -p {project} {}` prints the command that joins it",
        cluster.name
    );
    Ok(())
}
