use anyhow::Result;

use super::Global;

#[derive(clap::Args)]
pub struct Delete {
    id: String,
}

pub async fn run(global: &Global, delete: Delete) -> Result<()> {
    global.client()?.delete(&["me", "keys", &delete.id], &[]).await?;
    eprintln!("the key is removed");
    Ok(())
}
