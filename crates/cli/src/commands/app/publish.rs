use std::path::PathBuf;

use anyhow::{Context, Result};
use c7n_api::AppVersion;

use super::Global;
use crate::output;

#[derive(clap::Args)]
#[command(after_help = "Example:
  helm package ./web
  c7n app publish -p shop web-1.2.0.tgz      again with the same archive changes nothing; another one is refused")]
pub struct Publish {
    /// What `helm package` has made
    #[arg(value_name = "CHART.tgz")]
    archive: PathBuf,
}

pub async fn run(global: &Global, publish: Publish) -> Result<()> {
    let project = global.project()?;
    let file = publish.archive.display();
    let archive = std::fs::read(&publish.archive).with_context(|| format!("reading {file}"))?;
    let version: AppVersion = global
        .client()?
        .upload(&["projects", project, "charts"], "application/gzip", archive)
        .await?;
    output::print_one(global.output, &version)?;
    match version.library {
        true => {
            eprintln!("it is a library: other charts name it in their dependencies, and it is not deployed")
        }
        false => eprintln!(
            "next: `c7n deploy -p {project} {} {} --env ENVIRONMENT`",
            version.app, version.version
        ),
    }
    Ok(())
}
