use anyhow::Result;

use super::Global;
use crate::commands::confirm;

#[derive(clap::Args)]
pub struct Delete {
    name: String,
    /// Keep the namespace and what runs in it
    #[arg(long)]
    keep_namespace: bool,
}

pub async fn run(global: &Global, delete: Delete) -> Result<()> {
    let project = global.project()?;
    let (fate, told) = match delete.keep_namespace {
        true => ("keep", "its namespace stays"),
        false => ("delete", "its namespace and all that runs in it go too"),
    };
    confirm(
        global,
        &format!("delete environment {project}/{} ({told})", delete.name),
    )?;
    global
        .client()?
        .delete(
            &["projects", project, "environments", &delete.name],
            &[("namespace", fate)],
        )
        .await?;
    eprintln!(
        "environment {} is being deleted; `c7n env list` shows when it is gone",
        delete.name
    );
    Ok(())
}
