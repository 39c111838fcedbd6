use anyhow::Result;

use super::Global;
use crate::commands::confirm;

#[derive(clap::Args)]
pub struct Delete {
    name: String,
}

pub async fn run(global: &Global, delete: Delete) -> Result<()> {
    let project = global.project()?;
    confirm(
        global,
        &format!(
            "delete application {} of {project} (its charts can no longer be fetched; what runs goes on running)",
            delete.name
        ),
    )?;
    global
        .client()?
        .delete(&["projects", project, "apps", &delete.name], &[])
        .await?;
    eprintln!("application {} is deleted", delete.name);
    Ok(())
}
