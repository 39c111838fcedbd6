use anyhow::Result;
use c7n_api::Project;

use super::Global;
use crate::output;

pub async fn run(global: &Global) -> Result<()> {
    let projects: Vec<Project> = global.client()?.get(&["projects"], &[]).await?;
    output::print_list(global.output, &projects)
}
