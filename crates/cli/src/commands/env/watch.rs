//! `c7n env watch`: a line for each thing that moves.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use c7n_api::{Environment, EventChange, HealthStatus, HistoryEntry, LiveObject};

use super::Global;
use crate::client::Client;
use crate::output::{Format, clock, now_ms, short, word};
use crate::stream::EventStream;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  c7n env watch -p shop staging
  c7n env watch -p shop staging --until healthy --timeout 120    for scripts: 0, or 3 when time ran out")]
pub struct Watch {
    name: String,
    /// End when this is reached
    #[arg(long)]
    until: Option<Until>,
    /// Seconds after which to give up, with status 3
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Reached only when this commit (or its first digits) is the newest
    #[arg(long)]
    commit: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Until {
    /// The three commits are one and nothing failed
    Converged,
    /// Converged, and every object is healthy
    Healthy,
}

pub async fn run(global: &Global, watch: Watch) -> Result<ExitCode> {
    let client = global.client()?;
    let follow = follow(&client, global, &watch);
    match watch.timeout {
        None => follow.await?,
        Some(seconds) => match tokio::time::timeout(Duration::from_secs(seconds), follow).await {
            Ok(done) => done?,
            Err(_) => {
                eprintln!(
                    "c7n: {seconds} s are over; `c7n env errors {}` may tell why",
                    watch.name
                );
                return Ok(ExitCode::from(3));
            }
        },
    }
    Ok(ExitCode::SUCCESS)
}

async fn follow(client: &Client, global: &Global, watch: &Watch) -> Result<()> {
    let project = global.project()?;
    let query = vec![("project", project), ("environment", watch.name.as_str())];
    // The stream is open before the state is read, so that nothing falls between the two.
    let mut stream = EventStream::open(client, query).await?;
    let mut view = View::read(client, project, &watch.name).await?;
    let mut screen = Screen {
        format: global.output,
    };
    screen.environment(&view.environment, now_ms());
    loop {
        if watch.is_reached(&view) {
            return Ok(());
        }
        let event = stream.next().await?;
        if screen.format != Format::Table {
            println!("{}", serde_json::to_string(&event)?);
        }
        match event.change {
            EventChange::Reset => {
                view = View::read(client, project, &watch.name).await?;
                screen.environment(&view.environment, event.time_ms);
            }
            EventChange::Environment(new) => {
                if new.commits != view.environment.commits
                    || new.health != view.environment.health
                    || new.message != view.environment.message
                    || new.held != view.environment.held
                {
                    screen.environment(&new, event.time_ms);
                }
                view.environment = *new;
            }
            EventChange::EnvironmentDeleted { .. } => {
                anyhow::bail!("the environment was deleted");
            }
            EventChange::History(entry) => screen.history(&entry, event.time_ms),
            EventChange::Objects { changed, gone } => {
                for uid in gone {
                    if let Some(object) = view.objects.remove(&uid) {
                        screen.line(event.time_ms, &format!("  {} {}  gone", object.kind, object.name));
                    }
                }
                for object in changed {
                    let before = view.objects.get(&object.uid).map(|before| before.health);
                    screen.object(&object, before, event.time_ms);
                    view.objects.insert(object.uid.clone(), object);
                }
            }
            EventChange::Cluster(_)
            | EventChange::ClusterDeleted { .. }
            | EventChange::App(_)
            | EventChange::AppDeleted { .. }
            | EventChange::Command(_)
            | EventChange::Instances { .. } => {}
        }
    }
}

impl Watch {
    fn is_reached(&self, view: &View) -> bool {
        let at_commit = self.commit.as_ref().is_none_or(|wanted| {
            view.environment
                .commits
                .newest
                .as_ref()
                .is_some_and(|newest| newest.starts_with(wanted.as_str()))
        });
        let health = &view.environment.health;
        at_commit
            && match self.until {
                None => false,
                Some(Until::Converged) => view.environment.converged,
                Some(Until::Healthy) => {
                    view.environment.converged && health.degraded + health.progressing + health.unknown == 0
                }
            }
    }
}

struct View {
    environment: Environment,
    objects: BTreeMap<String, LiveObject>,
}

impl View {
    async fn read(client: &Client, project: &str, name: &str) -> Result<Self> {
        let base = ["projects", project, "environments", name];
        let environment = client.get(&base, &[]).await.context("reading the environment")?;
        let objects: Vec<LiveObject> = client.pages(&[base.as_slice(), &["objects"]].concat()).await?;
        Ok(Self {
            environment,
            objects: objects
                .into_iter()
                .map(|object| (object.uid.clone(), object))
                .collect(),
        })
    }
}

struct Screen {
    format: Format,
}

impl Screen {
    fn line(&mut self, at_ms: i64, text: &str) {
        if self.format == Format::Table {
            println!("{}  {text}", clock(at_ms));
        }
    }

    fn environment(&mut self, environment: &Environment, at_ms: i64) {
        let commits = &environment.commits;
        let mut text = format!(
            "newest {}  devops-sync {}  agent-sync {}  {}  {}",
            short(commits.newest.as_deref()),
            short(commits.parsed.as_deref()),
            short(commits.applied.as_deref()),
            if environment.converged {
                "converged"
            } else {
                "not converged"
            },
            super::health(environment)
        );
        if let Some(message) = &environment.message {
            text.push_str(&format!("  ({message})"));
        }
        self.line(at_ms, &text);
    }

    fn history(&mut self, entry: &HistoryEntry, at_ms: i64) {
        let text = format!(
            "commit {}  {}  {}",
            short(Some(&entry.commit.id)),
            word(&entry.state),
            entry.commit.subject
        );
        self.line(at_ms, &text);
    }

    fn object(&mut self, object: &LiveObject, before: Option<HealthStatus>, at_ms: i64) {
        if object.kind == "Event" {
            return;
        }
        let health = match before {
            Some(before) if before == object.health => return,
            Some(before) => format!("{} -> {}", word(&before), word(&object.health)),
            None => word(&object.health),
        };
        let message = object
            .message
            .as_deref()
            .filter(|text| !text.is_empty())
            .map_or_else(String::new, |text| format!("  {text}"));
        self.line(
            at_ms,
            &format!("  {} {}  {health}{message}", object.kind, object.name),
        );
    }
}
