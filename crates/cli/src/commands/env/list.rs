use anyhow::Result;
use c7n_api::Environment;

use super::Global;
use crate::output;

pub async fn run(global: &Global) -> Result<()> {
    let environments: Vec<Environment> = global
        .client()?
        .get(&["projects", global.project()?, "environments"], &[])
        .await?;
    output::print_list(global.output, &environments)
}
