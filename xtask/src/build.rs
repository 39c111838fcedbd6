//! Builds the product's programs, with cargo's own progress.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Dev,
    Release,
}

pub async fn programs(profile: Profile) -> Result<()> {
    let mut command = cargo();
    // All of them at once, so that tests and demo share what was compiled.
    command.args(["build", "--workspace", "--bins"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    run("cargo build", &mut command).await
}

/// The programs, and the tests of every crate. Cargo chooses features for all that it builds at once: in any other order
/// it would compile the dependencies a second time for the tests, and a third time for the tests on clusters.
pub async fn with_tests() -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--workspace", "--bins", "--tests"]);
    run("cargo build", &mut command).await?;
    let mut command = cargo();
    command.args(["test", "--workspace", "--test", "e2e", "--no-run", "--quiet"]);
    run("cargo test", &mut command).await
}

/// Where they are afterwards: this program lies beside those of the same profile.
pub fn folder(profile: Profile) -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    let target = me
        .parent()
        .and_then(Path::parent)
        .context("this program lies in no target folder")?;
    Ok(target.join(match profile {
        Profile::Dev => "debug",
        Profile::Release => "release",
    }))
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

pub async fn run(name: &str, command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .await
        .with_context(|| format!("running {name}"))?;
    ensure!(status.success(), "{name} ended with {status}");
    Ok(())
}
