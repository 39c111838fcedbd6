use anyhow::Result;
use c7n_api::App;

use super::Global;
use crate::output;

pub async fn run(global: &Global) -> Result<()> {
    let apps: Vec<App> = global
        .client()?
        .get(&["projects", global.project()?, "apps"], &[])
        .await?;
    output::print_list(global.output, &apps)
}
