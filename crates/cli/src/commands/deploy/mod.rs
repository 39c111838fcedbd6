//! Commands that become commits: deploy, upgrade, roll back, stop, start, delete. Each sends its wish, and then waits the
//! way everybody waits for a push.

mod change;
mod deploy_app;
mod follow;
mod rollback;
mod show;
mod upgrade;
mod values;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use c7n_api::{Deployed, Mode};

use super::Global;
use crate::client::Client;
use crate::output::{self, Format};
use follow::{Follow, Goal};

pub use change::{Delete, Start, Stop, delete, start, stop};
pub use deploy_app::{Deploy, deploy};
pub use rollback::{Rollback, rollback};
pub use upgrade::{Upgrade, upgrade};

/// What all of these commands have in common.
#[derive(clap::Args)]
pub struct Where {
    /// Environment that it is about
    #[arg(long, short, value_name = "NAME")]
    env: String,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Return when the commit is made
    #[arg(long)]
    no_wait: bool,
    /// Seconds to wait until it is delivered and healthy; then the status is 3
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
}

impl Where {
    fn mode(&self) -> Mode {
        if self.dry_run { Mode::DryRun } else { Mode::Commit }
    }
}

/// Sends it and waits. The stream of events is open before anything is sent, so that nothing is missed.
async fn carry_out(
    global: &Global,
    at: &Where,
    goal: Goal,
    send: impl AsyncFnOnce(&Client, &[&str]) -> Result<Deployed>,
) -> Result<ExitCode> {
    let client = global.client()?;
    let project = global.project()?;
    let path = ["projects", project, "environments", at.env.as_str()];
    let waits = !at.no_wait && !at.dry_run;
    let mut follow = match waits {
        true => Some(Follow::open(&client, project, &at.env).await?),
        false => None,
    };
    let done = send(&client, &path).await?;
    if let Some(code) = show::unwritten(global, at, &done)? {
        return Ok(code);
    }
    let code = match (&mut follow, &done.commit) {
        (Some(follow), Some(commit)) => {
            eprintln!("{}", show::committed(&done, commit));
            let wait = follow.until(&done, commit, goal);
            match tokio::time::timeout(Duration::from_secs(at.timeout), wait).await {
                Ok(outcome) => outcome?,
                Err(_) => {
                    let last = follow.last_words();
                    eprintln!(
                        "c7n: {} s are over: {last}\n  next: `c7n env watch -p {project} {}` goes on waiting, `c7n env errors` may tell why",
                        at.timeout, at.env
                    );
                    ExitCode::from(3)
                }
            }
        }
        (_, Some(commit)) => {
            eprintln!("{}", show::committed(&done, commit));
            ExitCode::SUCCESS
        }
        (_, None) => ExitCode::SUCCESS,
    };
    if global.output != Format::Table {
        print!("{}", output::structured(global.output, &done)?);
    }
    Ok(code)
}
