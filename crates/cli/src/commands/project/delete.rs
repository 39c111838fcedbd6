use anyhow::Result;

use super::Global;
use crate::commands::confirm;

#[derive(clap::Args)]
pub struct Delete {
    name: String,
}

pub async fn run(global: &Global, delete: Delete) -> Result<()> {
    confirm(global, &format!("delete project {}", delete.name))?;
    global.client()?.delete(&["projects", &delete.name], &[]).await?;
    eprintln!("project {} is deleted", delete.name);
    Ok(())
}
