use std::process::ExitCode;

use anyhow::Result;
use c7n_api::{ChangeInstance, Mode};

use super::follow::Goal;
use super::{Global, Where, carry_out};
use crate::commands::confirm;

#[derive(clap::Args)]
#[command(after_help = "Example:
  c7n stop -p shop web --env staging        scales it to nothing; `c7n start` brings it back as large as it was")]
pub struct Stop {
    /// Name of the instance
    instance: String,
    #[command(flatten)]
    at: Where,
}

#[derive(clap::Args)]
#[command(after_help = "Example:
  c7n start -p shop web --env staging")]
pub struct Start {
    /// Name of the instance
    instance: String,
    #[command(flatten)]
    at: Where,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  c7n delete -p shop web --env staging --dry-run
  c7n delete -p shop web --env staging --yes       takes it out of the repository; the agent uninstalls it")]
pub struct Delete {
    /// Name of the instance
    instance: String,
    #[command(flatten)]
    at: Where,
}

pub async fn stop(global: &Global, stop: Stop) -> Result<ExitCode> {
    set(global, &stop.at, &stop.instance, "stop", Goal::Stopped).await
}

pub async fn start(global: &Global, start: Start) -> Result<ExitCode> {
    set(global, &start.at, &start.instance, "start", Goal::Healthy).await
}

async fn set(global: &Global, at: &Where, instance: &str, verb: &str, goal: Goal) -> Result<ExitCode> {
    let body = ChangeInstance { mode: at.mode() };
    carry_out(global, at, goal, async |client, path| {
        client
            .post(&[path, &["instances", instance, verb]].concat(), &body)
            .await
    })
    .await
}

pub async fn delete(global: &Global, delete: Delete) -> Result<ExitCode> {
    let at = &delete.at;
    if !at.dry_run {
        let what = format!(
            "delete instance {} of {}/{}",
            delete.instance,
            global.project()?,
            at.env
        );
        confirm(global, &what)?;
    }
    carry_out(global, at, Goal::Gone, async |client, path| {
        let path = [path, &["instances", &delete.instance]].concat();
        let query: &[(&str, &str)] = match at.mode() {
            Mode::DryRun => &[("mode", "dry-run")],
            Mode::Commit => &[],
        };
        client.delete_and_hear(&path, query).await
    })
    .await
}
