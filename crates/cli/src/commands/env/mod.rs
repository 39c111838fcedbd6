mod confirm_deletions;
mod create;
mod delete;
mod drift;
mod errors;
mod history;
mod list;
mod objects;
mod recording;
mod rights;
mod run_command;
mod sessions;
mod show;
mod stream_settings;
pub(super) mod tree;
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use super::Global;
use crate::output::{Row, short, word};

#[derive(Subcommand)]
pub enum Env {
    /// Create an environment with its repository
    Create(create::Create),
    /// List the environments of a project
    List,
    /// Show one environment
    Show(show::Show),
    /// Watch the three commits move and the objects get healthy
    Watch(watch::Watch),
    /// Show what was pushed, what it changed and how its delivery went
    History(history::History),
    /// Show what is wrong, by file and line
    Errors(errors::Errors),
    /// Show what others had changed by hand, field by field, and was put back
    Drift(drift::DriftCommand),
    /// Show the live objects as a tree by instance and owner, with health
    Objects(objects::Objects),
    /// Fetch and converge now
    Sync(run_command::Sync),
    /// Roll the pods of a workload
    Restart(run_command::Restart),
    /// Set the number of replicas of a workload until the next delivery
    Scale(run_command::Scale),
    /// Print an object as the API server has it
    Get(run_command::Get),
    /// Break off what goes on with a Helm release
    CancelRelease(run_command::Release),
    /// Try again at once what failed or was cancelled of a Helm release
    RetryRelease(run_command::Release),
    /// Run the tests of a Helm release's chart
    TestRelease(run_command::Release),
    /// Let deletions that are held for a person's word go ahead
    ConfirmDeletions(confirm_deletions::ConfirmDeletions),
    /// Show or change who may read logs and run processes here, beside their role in the project
    Rights(rights::Rights),
    /// Show or change how terminals are guarded here: recorded, checked by the cluster, ended when idle
    StreamSettings(stream_settings::Settings),
    /// List the logs, processes and ports that were opened, and by whom
    Sessions(sessions::Sessions),
    /// Get the recording of a terminal, to be played with asciinema
    Recording(recording::Recording),
    /// Delete an environment
    Delete(delete::Delete),
}

pub async fn run(global: &Global, command: Env) -> Result<ExitCode> {
    match command {
        Env::Create(command) => create::run(global, command).await?,
        Env::List => list::run(global).await?,
        Env::Show(command) => show::run(global, command).await?,
        Env::Watch(command) => return watch::run(global, command).await,
        Env::History(command) => history::run(global, command).await?,
        Env::Errors(command) => errors::run(global, command).await?,
        Env::Drift(command) => drift::run(global, command).await?,
        Env::Objects(command) => objects::run(global, command).await?,
        Env::Sync(command) => run_command::sync(global, command).await?,
        Env::Restart(command) => run_command::restart(global, command).await?,
        Env::Scale(command) => run_command::scale(global, command).await?,
        Env::Get(command) => run_command::get(global, command).await?,
        Env::CancelRelease(command) => run_command::cancel_release(global, command).await?,
        Env::RetryRelease(command) => run_command::retry_release(global, command).await?,
        Env::TestRelease(command) => run_command::test_release(global, command).await?,
        Env::ConfirmDeletions(command) => confirm_deletions::run(global, command).await?,
        Env::Rights(command) => rights::run(global, command).await?,
        Env::StreamSettings(command) => stream_settings::run(global, command).await?,
        Env::Sessions(command) => sessions::run(global, command).await?,
        Env::Recording(command) => recording::run(global, command).await?,
        Env::Delete(command) => delete::run(global, command).await?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Row for c7n_api::Environment {
    const HEAD: &'static [&'static str] = &[
        "NAME",
        "CLUSTER",
        "NAMESPACE",
        "PHASE",
        "NEWEST",
        "DEVOPS-SYNC",
        "AGENT-SYNC",
        "CONVERGED",
        "HEALTH",
    ];
    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.cluster.clone(),
            self.namespace.clone(),
            word(&self.phase),
            short(self.commits.newest.as_deref()),
            short(self.commits.parsed.as_deref()),
            short(self.commits.applied.as_deref()),
            if self.converged { "yes" } else { "no" }.to_owned(),
            health(self),
        ]
    }
}

/// Only what there is, worst first: `1 degraded, 2 progressing, 9 healthy`.
fn health(environment: &c7n_api::Environment) -> String {
    let counts = &environment.health;
    let parts = [
        (counts.degraded, "degraded"),
        (counts.unknown, "unknown"),
        (counts.progressing, "progressing"),
        (counts.suspended, "suspended"),
        (counts.healthy, "healthy"),
    ];
    let told: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let told = if told.is_empty() {
        "-".to_owned()
    } else {
        told.join(", ")
    };
    match environment.last_seen_ms {
        Some(seen) if environment.stale => format!("{told} (as of {} ago)", crate::output::age(seen)),
        _ => told,
    }
}
