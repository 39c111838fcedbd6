mod add;
mod delete;
mod list;

use anyhow::Result;
use clap::Subcommand;

use super::Global;
use crate::output::{Row, age};

#[derive(Subcommand)]
pub enum Key {
    /// Register a public key
    Add(add::Add),
    /// List your keys
    List,
    /// Remove a key, by its id
    Delete(delete::Delete),
}

pub async fn run(global: &Global, command: Key) -> Result<()> {
    match command {
        Key::Add(command) => add::run(global, command).await,
        Key::List => list::run(global).await,
        Key::Delete(command) => delete::run(global, command).await,
    }
}

impl Row for c7n_api::SshKey {
    const HEAD: &'static [&'static str] = &["ID", "TITLE", "FINGERPRINT", "AGE"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.title.clone(),
            self.fingerprint.clone(),
            age(self.created_ms),
        ]
    }
}
