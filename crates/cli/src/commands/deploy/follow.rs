//! Waits for a commit as for any push: taken in by the platform, applied by the agent, then the release itself as the live
//! state shows it, and everything that it runs. Progress goes to standard error.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use c7n_api::{
    ConfirmDeletions, Deployed, Environment, EventChange, HealthStatus, HistoryEntry, Instance, LiveObject,
    ObjectResult, Outcome, Page, Vitals,
};
use tokio::time::sleep;

use crate::client::Client;
use crate::output::{clock, now_ms, short, word};
use crate::stream::EventStream;

const KIND: &str = "C7NHelmRelease";
/// A release may be told as deployed before the controllers of what it made have looked at it.
const SETTLING: Duration = Duration::from_millis(300);

/// When the waiting is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    Healthy,
    Stopped,
    Gone,
}

pub struct Follow<'a> {
    client: &'a Client,
    project: &'a str,
    name: &'a str,
    stream: EventStream<'a>,
    said: Vec<String>,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// In words, for a person.
    Waiting(String),
    /// The deletion that was asked for, and nothing else, waits for the word that its caller has given already.
    Held,
    /// The release is as it is wanted; how its objects are doing has to be asked for.
    Released,
    Reached(String),
    Failed(String),
}

impl<'a> Follow<'a> {
    pub async fn open(client: &'a Client, project: &'a str, name: &'a str) -> Result<Self> {
        let query = vec![("project", project), ("environment", name)];
        Ok(Self {
            client,
            project,
            name,
            stream: EventStream::open(client, query).await?,
            said: Vec::new(),
        })
    }

    pub async fn until(&mut self, done: &Deployed, commit: &str, goal: Goal) -> Result<ExitCode> {
        let mut seen = self.read(done, commit).await?;
        loop {
            match seen.step(commit, goal) {
                Step::Waiting(words) => self.say(words),
                Step::Held => self.confirm(commit).await?,
                Step::Released => {
                    sleep(SETTLING).await;
                    seen.vitals = Some(self.vitals(&seen.instance).await?);
                    continue;
                }
                Step::Reached(words) => {
                    self.say(words);
                    return Ok(ExitCode::SUCCESS);
                }
                Step::Failed(words) => bail!(
                    "{words}\n  next: `c7n env errors -p {} {}` and `c7n env objects` tell more",
                    self.project,
                    self.name
                ),
            }
            let event = self.stream.next().await?;
            match event.change {
                EventChange::Reset => seen = self.read(done, commit).await?,
                EventChange::Environment(new) => seen.environment = *new,
                EventChange::EnvironmentDeleted { .. } => bail!("the environment was deleted"),
                EventChange::History(entry) => seen.history(*entry, commit),
                EventChange::Objects { changed, gone } => seen.objects(changed, &gone),
                // It may tell of a time before the answer that is known: that is asked for anew.
                EventChange::Instances { changed, .. }
                    if changed.iter().any(|it| it.name == seen.instance) =>
                {
                    seen.vitals = None;
                }
                _ => {}
            }
        }
    }

    /// Once: what becomes of it is told by the next events.
    async fn confirm(&mut self, commit: &str) -> Result<()> {
        let words = format!(
            "this is the last of what is deployed: the deletion at {} is confirmed",
            short(Some(commit))
        );
        if self.said.contains(&words) {
            return Ok(());
        }
        let path = [
            "projects",
            self.project,
            "environments",
            self.name,
            "confirm-deletions",
        ];
        let body = ConfirmDeletions {
            commit: commit.to_owned(),
        };
        let _: Environment = self.client.post(&path, &body).await?;
        self.say(words);
        Ok(())
    }

    async fn vitals(&self, instance: &str) -> Result<Vitals> {
        let path = [
            "projects",
            self.project,
            "environments",
            self.name,
            "instances",
            instance,
        ];
        let found: Instance = self
            .client
            .get(&path, &[])
            .await
            .context("reading the instance")?;
        Ok(found.vitals)
    }

    /// What was told last, for when time runs out.
    pub fn last_words(&self) -> &str {
        self.said.last().map_or("nothing was heard of it", String::as_str)
    }

    fn say(&mut self, words: String) {
        if self.said.last() != Some(&words) {
            eprintln!("{}  {words}", clock(now_ms()));
            self.said.push(words);
        }
    }

    async fn read(&self, done: &Deployed, commit: &str) -> Result<Seen> {
        let base = ["projects", self.project, "environments", self.name];
        let environment = self
            .client
            .get(&base, &[])
            .await
            .context("reading the environment")?;
        let history: Page<HistoryEntry> = self
            .client
            .get(&[base.as_slice(), &["history"]].concat(), &[("limit", "50")])
            .await?;
        let objects: Vec<LiveObject> = self
            .client
            .pages(&[base.as_slice(), &["objects"]].concat())
            .await?;
        let instance = done.instance.clone().unwrap_or_default();
        Ok(Seen {
            environment,
            entry: history.items.into_iter().find(|entry| entry.commit.id == commit),
            release: objects.into_iter().find(|object| is_release(object, &instance)),
            vitals: None,
            instance,
        })
    }
}

/// What is known now.
struct Seen {
    environment: Environment,
    entry: Option<HistoryEntry>,
    release: Option<LiveObject>,
    /// Of the instance with all its objects, once its release is deployed.
    vitals: Option<Vitals>,
    instance: String,
}

impl Seen {
    fn history(&mut self, entry: HistoryEntry, commit: &str) {
        if entry.commit.id == commit {
            self.entry = Some(entry);
        }
    }

    fn objects(&mut self, changed: Vec<LiveObject>, gone: &[String]) {
        if self
            .release
            .as_ref()
            .is_some_and(|release| gone.contains(&release.uid))
        {
            self.release = None;
        }
        for object in changed {
            if is_release(&object, &self.instance) {
                self.release = Some(object);
            }
        }
    }

    fn step(&self, commit: &str, goal: Goal) -> Step {
        if let Some(result) = self.result() {
            let words = format!(
                "{}: {}",
                self.instance,
                result.message.as_deref().unwrap_or("no reason was given")
            );
            match result.outcome {
                Outcome::Refused => return Step::Failed(format!("refused: {words}")),
                Outcome::Failed => return Step::Waiting(format!("failed, and is tried again: {words}")),
                Outcome::Held if goal == Goal::Gone && self.holds_only_this(commit) => return Step::Held,
                Outcome::Held => {
                    return Step::Waiting(format!(
                        "deletions wait for a word: `c7n env confirm-deletions {}`",
                        self.environment.name
                    ));
                }
                Outcome::Applied | Outcome::Unchanged | Outcome::Pruned => {}
            }
        }
        if self.environment.commits.parsed.as_deref() != Some(commit) && self.entry.is_none() {
            return Step::Waiting("the platform reads the commit".to_owned());
        }
        match goal {
            Goal::Gone => match &self.release {
                None => Step::Reached(format!("{} is gone", self.instance)),
                Some(release) => {
                    Step::Waiting(format!("{} is being uninstalled{}", self.instance, told(release)))
                }
            },
            Goal::Healthy | Goal::Stopped => self.of_release(commit, goal),
        }
    }

    fn of_release(&self, commit: &str, goal: Goal) -> Step {
        // What an older commit made of it says nothing of this one.
        let release = self
            .release
            .as_ref()
            .filter(|release| release.commit.as_deref() == Some(commit));
        let Some(release) = release else {
            return Step::Waiting(if self.environment.stale {
                "the cluster is disconnected; its agent delivers when it is back".to_owned()
            } else {
                format!("the agent delivers {}", short(Some(commit)))
            });
        };
        let words = format!("{} is {}{}", self.instance, word(&release.health), told(release));
        match (release.health, goal) {
            (HealthStatus::Healthy, Goal::Healthy) => self.of_objects(words),
            (HealthStatus::Suspended, Goal::Stopped) => Step::Reached(words),
            // One that is stopped stays so through a change of its chart.
            (HealthStatus::Suspended, Goal::Healthy) => Step::Reached(words),
            (HealthStatus::Degraded, _) => Step::Failed(words),
            _ => Step::Waiting(words),
        }
    }

    /// What is not well may still become so: how long that is waited for is the caller's to say.
    fn of_objects(&self, words: String) -> Step {
        let Some(vitals) = &self.vitals else {
            return Step::Released;
        };
        if matches!(vitals.health, HealthStatus::Healthy | HealthStatus::Suspended) {
            return Step::Reached(words);
        }
        let cause = vitals.cause.as_ref().map_or_else(
            || format!("what it runs is {}", word(&vitals.health)),
            |cause| cause.text.clone(),
        );
        Step::Waiting(format!("{} is deployed: {cause}", self.instance))
    }

    fn holds_only_this(&self, commit: &str) -> bool {
        let held = self.environment.held.as_ref();
        held.is_some_and(|held| held.commit == commit && held.count == 1)
    }

    /// What the agent reported of the release itself.
    fn result(&self) -> Option<&ObjectResult> {
        let delivery = self.entry.as_ref()?.delivery.as_ref()?;
        let mut objects = delivery.objects.iter();
        objects.rfind(|result| result.kind == KIND && result.name == self.instance)
    }
}

fn told(release: &LiveObject) -> String {
    match release.message.as_deref().filter(|message| !message.is_empty()) {
        Some(message) => format!(": {message}"),
        None => String::new(),
    }
}

fn is_release(object: &LiveObject, instance: &str) -> bool {
    object.kind == KIND && object.group == "choerodon.io" && object.name == instance
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use c7n_api::{CommitInfo, CommitState, Commits, Delivery, EnvironmentPhase, HealthCounts, Repository};

    use super::*;

    const COMMIT: &str = "c2";

    fn seen() -> Seen {
        Seen {
            environment: Environment {
                id: "e".into(),
                project: "shop".into(),
                cluster: "east".into(),
                name: "staging".into(),
                namespace: "shop-staging".into(),
                phase: EnvironmentPhase::Ready,
                message: None,
                repository: Repository {
                    ssh_url: String::new(),
                    http_url: String::new(),
                    branch: "main".into(),
                },
                commits: Commits::default(),
                converged: false,
                file_errors: 0,
                failed_objects: 0,
                held: None,
                health: HealthCounts::default(),
                stale: false,
                last_seen_ms: None,
                created_ms: 0,
            },
            entry: None,
            release: None,
            vitals: None,
            instance: "web".into(),
        }
    }

    fn release(health: HealthStatus, commit: &str) -> LiveObject {
        LiveObject {
            group: "choerodon.io".into(),
            version: "v1alpha1".into(),
            kind: KIND.into(),
            namespace: Some("shop-staging".into()),
            name: "web".into(),
            uid: "u".into(),
            health,
            message: Some("why".into()),
            release: None,
            cause: None,
            summary: BTreeMap::new(),
            owners: vec![],
            managed: true,
            file: None,
            commit: Some(commit.into()),
            created_ms: 0,
            seen_ms: 0,
        }
    }

    fn vitals(health: HealthStatus) -> Vitals {
        let cause = (health != HealthStatus::Healthy).then(|| c7n_api::Cause {
            text: "Pod web-0 cannot start".into(),
            log: vec![],
            object: c7n_api::ObjectRef {
                group: String::new(),
                kind: "Pod".into(),
                name: "web-0".into(),
            },
        });
        Vitals {
            health,
            cause,
            objects: 1,
            pods_ready: 0,
            pods: 1,
        }
    }

    fn entry(outcome: Outcome) -> HistoryEntry {
        HistoryEntry {
            commit: CommitInfo {
                id: COMMIT.into(),
                author: "ann".into(),
                email: String::new(),
                subject: String::new(),
                time_ms: 0,
            },
            state: CommitState::Delivering,
            parsed_ms: 0,
            records: vec![],
            delivery: Some(Delivery {
                commit: COMMIT.into(),
                started_ms: 0,
                finished_ms: None,
                attempt: 1,
                objects: vec![ObjectResult {
                    group: "choerodon.io".into(),
                    kind: KIND.into(),
                    namespace: None,
                    name: "web".into(),
                    file: None,
                    line: None,
                    outcome,
                    message: Some("because".into()),
                    drifted: vec![],
                }],
            }),
        }
    }

    fn parsed() -> Seen {
        let mut seen = seen();
        seen.environment.commits.parsed = Some(COMMIT.into());
        seen
    }

    #[test]
    fn a_deployment_is_followed_from_the_commit_to_health() {
        let waiting = |step: Step| matches!(step, Step::Waiting(_));
        assert!(waiting(seen().step(COMMIT, Goal::Healthy)));
        assert!(waiting(parsed().step(COMMIT, Goal::Healthy)));
        let with = |health, commit: &str| Seen {
            release: Some(release(health, commit)),
            ..parsed()
        };
        // Healthy by an older commit is not the goal, and its failure is not ours.
        for health in [HealthStatus::Healthy, HealthStatus::Degraded] {
            assert!(
                waiting(with(health, "c1").step(COMMIT, Goal::Healthy)),
                "{health:?}"
            );
        }
        assert!(waiting(
            with(HealthStatus::Progressing, COMMIT).step(COMMIT, Goal::Healthy)
        ));
        let mut deployed = with(HealthStatus::Healthy, COMMIT);
        assert_eq!(deployed.step(COMMIT, Goal::Healthy), Step::Released);
        deployed.vitals = Some(vitals(HealthStatus::Progressing));
        assert_eq!(
            deployed.step(COMMIT, Goal::Healthy),
            Step::Waiting("web is deployed: Pod web-0 cannot start".into())
        );
        deployed.vitals = Some(vitals(HealthStatus::Healthy));
        assert_eq!(
            deployed.step(COMMIT, Goal::Healthy),
            Step::Reached("web is healthy: why".into())
        );
        assert_eq!(
            with(HealthStatus::Degraded, COMMIT).step(COMMIT, Goal::Healthy),
            Step::Failed("web is degraded: why".into())
        );
        assert!(waiting(
            with(HealthStatus::Healthy, COMMIT).step(COMMIT, Goal::Stopped)
        ));
        assert!(matches!(
            with(HealthStatus::Suspended, COMMIT).step(COMMIT, Goal::Stopped),
            Step::Reached(_)
        ));
    }

    #[test]
    fn what_the_agent_reports_of_the_release_counts() {
        let with = |outcome| Seen {
            entry: Some(entry(outcome)),
            ..parsed()
        };
        assert_eq!(
            with(Outcome::Refused).step(COMMIT, Goal::Healthy),
            Step::Failed("refused: web: because".into())
        );
        assert!(
            matches!(with(Outcome::Failed).step(COMMIT, Goal::Healthy), Step::Waiting(words) if words.contains("because"))
        );
        let mut held = with(Outcome::Held);
        held.environment.held = Some(c7n_api::HeldDeletions {
            commit: COMMIT.into(),
            count: 1,
            total: 1,
            objects: vec![],
        });
        assert_eq!(held.step(COMMIT, Goal::Gone), Step::Held);
        held.environment.held.as_mut().unwrap().count = 2;
        assert_ne!(
            held.step(COMMIT, Goal::Gone),
            Step::Held,
            "more than was asked for"
        );
        assert!(
            matches!(with(Outcome::Held).step(COMMIT, Goal::Gone), Step::Waiting(words) if words.contains("confirm-deletions"))
        );
    }

    #[test]
    fn a_deletion_is_over_when_the_release_is_gone() {
        let mut there = Seen {
            release: Some(release(HealthStatus::Progressing, "c1")),
            ..parsed()
        };
        assert!(matches!(there.step(COMMIT, Goal::Gone), Step::Waiting(_)));
        there.objects(vec![], &["u".into()]);
        assert_eq!(
            there.step(COMMIT, Goal::Gone),
            Step::Reached("web is gone".into())
        );
        // Not before the platform has even read the commit.
        assert!(matches!(seen().step(COMMIT, Goal::Gone), Step::Waiting(_)));
    }
}
