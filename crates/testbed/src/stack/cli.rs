//! The command line, as a script uses it.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use tokio::process::Command;

use super::Binaries;

/// No `Debug`: it holds a token.
#[derive(Clone)]
pub struct Cli {
    program: PathBuf,
    server: String,
    token: String,
    config: PathBuf,
}

impl Cli {
    pub fn new(binaries: &Binaries, server: &str, token: &str, folder: &Path) -> Self {
        Self {
            program: binaries.cli.clone(),
            server: server.to_owned(),
            token: token.to_owned(),
            config: folder.join("login.json"),
        }
    }

    /// The same command line in the hands of somebody else.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("C7N_SERVER", &self.server)
            .env("C7N_TOKEN", &self.token)
            .env("C7N_CONFIG", &self.config)
            .env_remove("C7N_PROJECT")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub async fn output(&self, arguments: &[&str]) -> Result<Output> {
        self.command(arguments).output().await.context("running c7n")
    }

    /// What it printed; an error with what it complained of.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments).await?;
        if !output.status.success() {
            bail!(
                "c7n {} ({}): {}",
                arguments.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    pub async fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        let text = self.run(&[arguments, &["-o", "json"]].concat()).await?;
        serde_json::from_str(&text).with_context(|| format!("c7n {}: {text}", arguments.join(" ")))
    }
}
