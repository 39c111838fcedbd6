use anyhow::Result;

use super::Global;
use crate::commands::confirm;

#[derive(clap::Args)]
pub struct Delete {
    name: String,
}

pub async fn run(global: &Global, delete: Delete) -> Result<()> {
    let project = global.project()?;
    confirm(global, &format!("delete cluster {} of {project}", delete.name))?;
    global
        .client()?
        .delete(&["projects", project, "clusters", &delete.name], &[])
        .await?;
    eprintln!(
        "cluster {} is deleted; its agent is refused from now on",
        delete.name
    );
    Ok(())
}
