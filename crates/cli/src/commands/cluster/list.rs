use anyhow::Result;
use c7n_api::Cluster;

use super::Global;
use crate::output;

pub async fn run(global: &Global) -> Result<()> {
    let clusters: Vec<Cluster> = global
        .client()?
        .get(&["projects", global.project()?, "clusters"], &[])
        .await?;
    output::print_list(global.output, &clusters)
}
