use anyhow::Result;
use c7n_api::Forgotten;

use super::Global;
use crate::commands::{confirm, forgotten};

#[derive(clap::Args)]
pub struct Delete {
    name: String,
    /// Keep the namespace and what runs in it
    #[arg(long)]
    keep_namespace: bool,
    /// Without the agent, for a cluster that will not come back: what is in it stays as it is
    #[arg(long, conflicts_with = "keep_namespace")]
    forget: bool,
}

pub async fn run(global: &Global, delete: Delete) -> Result<()> {
    let project = global.project()?;
    let path = ["projects", project, "environments", &delete.name];
    if delete.forget {
        return forget(global, &delete.name, &path).await;
    }
    let (fate, told) = match delete.keep_namespace {
        true => ("keep", "its namespace stays"),
        false => ("delete", "its namespace and all that runs in it go too"),
    };
    confirm(
        global,
        &format!("delete environment {project}/{} ({told})", delete.name),
    )?;
    global.client()?.delete(&path, &[("namespace", fate)]).await?;
    eprintln!(
        "environment {} is being deleted; `c7n env list` shows when it is gone",
        delete.name
    );
    Ok(())
}

async fn forget(global: &Global, name: &str, path: &[&str]) -> Result<()> {
    confirm(
        global,
        &format!("forget environment {name} and delete its repository (what it has in the cluster stays)"),
    )?;
    let left: Forgotten = global
        .client()?
        .delete_and_hear(path, &[("forget", "true")])
        .await?;
    eprintln!("environment {name} is forgotten and its repository deleted");
    forgotten::print(global, &left)
}
