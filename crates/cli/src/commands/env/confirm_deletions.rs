use anyhow::{Context, Result};
use c7n_api::Environment;

use super::Global;
use crate::commands::confirm;
use crate::output;

#[derive(clap::Args)]
pub struct ConfirmDeletions {
    name: String,
}

pub async fn run(global: &Global, command: ConfirmDeletions) -> Result<()> {
    let client = global.client()?;
    let base = ["projects", global.project()?, "environments", &command.name];
    let environment: Environment = client.get(&base, &[]).await?;
    let held = environment
        .held
        .context("no deletions are held in this environment")?;
    for object in &held.objects {
        eprintln!("  {object}");
    }
    confirm(
        global,
        &format!("delete {} of {} objects", held.count, held.total),
    )?;
    let path = [base.as_slice(), &["confirm-deletions"]].concat();
    let environment: Environment = client
        .post(&path, &c7n_api::ConfirmDeletions { commit: held.commit })
        .await?;
    output::print_one(global.output, &environment)
}
