use std::process::ExitCode;

use anyhow::Result;
use c7n_api::RollBackInstance;

use super::follow::Goal;
use super::{Global, Where, carry_out};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  c7n rollback -p shop web --env staging                to what it was before its last change
  c7n rollback -p shop web --env staging --to 1a2b3c4d  to what that commit says; `c7n env history` lists them
  c7n rollback -p shop web --env staging --to-revision 3
                                                        to the commit of that revision; `c7n instance show` lists them")]
pub struct Rollback {
    /// Name of the instance
    instance: String,
    /// A commit of the environment's branch, or its first digits
    #[arg(long, value_name = "COMMIT")]
    to: Option<String>,
    /// A revision of the release, as `helm history` numbers them
    #[arg(long, value_name = "NUMBER", conflicts_with = "to")]
    to_revision: Option<u32>,
    #[command(flatten)]
    at: Where,
}

pub async fn rollback(global: &Global, rollback: Rollback) -> Result<ExitCode> {
    let body = RollBackInstance {
        to: rollback.to,
        to_revision: rollback.to_revision,
        mode: rollback.at.mode(),
    };
    carry_out(global, &rollback.at, Goal::Healthy, async |client, path| {
        let path = [path, &["instances", &rollback.instance, "rollback"]].concat();
        client.post(&path, &body).await
    })
    .await
}
