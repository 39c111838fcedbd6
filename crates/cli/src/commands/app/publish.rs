use std::path::PathBuf;

use anyhow::{Context, Result};
use c7n_api::AppVersion;
use reqwest::Method;

use super::Global;
use crate::output;

#[derive(clap::Args)]
#[command(after_help = "Example:
  helm package ./web
  c7n app publish -p shop web-1.2.0.tgz      again with the same archive changes nothing; another one is refused
  helm package --sign --key ada --keyring ~/.gnupg/secring.gpg ./web
  c7n app publish -p shop web-1.2.0.tgz      with web-1.2.0.tgz.prov, which lies beside it now")]
pub struct Publish {
    /// What `helm package` has made
    #[arg(value_name = "CHART.tgz")]
    archive: PathBuf,
    /// Its provenance file, as `helm package --sign` makes it; CHART.tgz.prov if that lies beside the archive
    #[arg(long, value_name = "FILE")]
    prov: Option<PathBuf>,
}

pub async fn run(global: &Global, publish: Publish) -> Result<()> {
    let project = global.project()?;
    let file = publish.archive.display();
    let archive = std::fs::read(&publish.archive).with_context(|| format!("reading {file}"))?;
    let beside = || {
        let mut name = publish.archive.clone().into_os_string();
        name.push(".prov");
        Some(PathBuf::from(name)).filter(|file| file.exists())
    };
    let provenance = match publish.prov.clone().or_else(beside) {
        Some(file) => Some(std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?),
        None => None,
    };
    let client = global.client()?;
    let mut version: AppVersion = client
        .upload(
            Method::POST,
            &["projects", project, "charts"],
            "application/gzip",
            archive,
        )
        .await?;
    if let Some(provenance) = provenance {
        let (app, number) = (version.app.as_str(), version.version.as_str());
        let path = ["projects", project, "apps", app, "versions", number, "provenance"];
        let signed = client.upload(Method::PUT, &path, "text/plain; charset=utf-8", provenance);
        version = signed
            .await
            .with_context(|| format!("{app} {number} is published, but without its provenance file"))?;
    }
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
