use anyhow::Result;
use c7n_api::AppVersion;

use super::Global;
use crate::output;

#[derive(clap::Args)]
pub struct Versions {
    name: String,
}

pub async fn run(global: &Global, versions: Versions) -> Result<()> {
    let found: Vec<AppVersion> = global
        .client()?
        .get(
            &["projects", global.project()?, "apps", &versions.name, "versions"],
            &[],
        )
        .await?;
    output::print_list(global.output, &found)
}
