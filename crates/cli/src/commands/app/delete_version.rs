use anyhow::Result;

use super::Global;
use crate::commands::confirm;

#[derive(clap::Args)]
#[command(after_help = "Example:
  c7n app delete-version -p shop web 1.2.0      refused while an instance is made of it")]
pub struct DeleteVersion {
    name: String,
    /// Exactly as `c7n app versions` lists it
    version: String,
}

pub async fn run(global: &Global, delete: DeleteVersion) -> Result<()> {
    let project = global.project()?;
    let DeleteVersion { name, version } = &delete;
    confirm(
        global,
        &format!("delete {name} {version} of {project} (its archive can no longer be fetched)"),
    )?;
    global
        .client()?
        .delete(&["projects", project, "apps", name, "versions", version], &[])
        .await?;
    eprintln!("{name} {version} is deleted");
    Ok(())
}
