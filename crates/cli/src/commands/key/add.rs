use std::path::PathBuf;

use anyhow::{Context, Result};
use c7n_api::{NewSshKey, SshKey};

use super::Global;
use crate::output;

#[derive(clap::Args)]
#[command(after_help = "Example:
  c7n key add ~/.ssh/id_ed25519.pub --title laptop")]
pub struct Add {
    /// File with the public key
    file: PathBuf,
    #[arg(long)]
    title: Option<String>,
}

pub async fn run(global: &Global, add: Add) -> Result<()> {
    let text =
        std::fs::read_to_string(&add.file).with_context(|| format!("reading {}", add.file.display()))?;
    anyhow::ensure!(
        !text.contains("PRIVATE KEY"),
        "{} is a private key and stays with you\n  next: name the file that ends in .pub",
        add.file.display()
    );
    let public_key = text.trim().to_owned();
    let comment = public_key.split_whitespace().nth(2).map(str::to_owned);
    let title = add.title.or(comment).unwrap_or_else(|| "key".to_owned());
    let key: SshKey = global
        .client()?
        .post(&["me", "keys"], &NewSshKey { title, public_key })
        .await?;
    output::print_one(global.output, &key)
}
