use anyhow::Result;
use c7n_api::{Environment, NewEnvironment};

use super::Global;
use crate::output;

#[derive(clap::Args)]
#[command(after_help = "Example:
  c7n env create -p shop staging --cluster east
  git push REPOSITORY-URL main             then pushes to it; `c7n env show` tells the URL")]
pub struct Create {
    name: String,
    /// Name of the cluster
    #[arg(long)]
    cluster: String,
    /// Namespace in the cluster; the default is PROJECT-NAME
    #[arg(long)]
    namespace: Option<String>,
    /// Branch that is delivered; the default is main
    #[arg(long)]
    branch: Option<String>,
}

pub async fn run(global: &Global, create: Create) -> Result<()> {
    let body = NewEnvironment {
        name: create.name,
        cluster: create.cluster,
        namespace: create.namespace,
        branch: create.branch,
    };
    let environment: Environment = global
        .client()?
        .post(&["projects", global.project()?, "environments"], &body)
        .await?;
    output::print_one(global.output, &environment)?;
    let repository = &environment.repository;
    eprintln!(
        "next: push files to the branch {} of\n  {}\n  {}",
        repository.branch, repository.ssh_url, repository.http_url
    );
    Ok(())
}
