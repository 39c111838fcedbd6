//! Environments against real repositories on this machine, and a cluster made of notes.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use c7n_git::{CommitId, Mirror, Remote, Transport};
use c7n_link::messages::{
    DeliveryReport, EnvironmentPhase, EnvironmentStatus, ObjectKey, ObjectResult, Outcome, Say,
};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::super::schedule::{PassEnd, SyncEnd};
use super::super::world::{Deliver, Obstacle, Pass};
use super::*;
use crate::cluster::Kinds;

const PATIENCE: Duration = Duration::from_secs(60);

/// Writes down what is asked of it.
#[derive(Clone)]
struct Notes {
    remote: Arc<Path>,
    log: Arc<Mutex<Vec<String>>>,
    ends: Arc<Mutex<Vec<PassEnd>>>,
    obstacles: Arc<Mutex<Vec<String>>>,
    drift: Arc<Notify>,
    kinds: watch::Sender<Arc<Kinds>>,
}

impl Notes {
    fn write(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }

    fn obstacle(&self) -> Result<(), Obstacle> {
        self.obstacles
            .lock()
            .unwrap()
            .pop()
            .map_or(Ok(()), |words| Err(Obstacle(words)))
    }
}

impl World for Notes {
    type Delivery = Notes;

    async fn prepare_namespace(&self, spec: &EnvironmentSpec) -> Result<(), Obstacle> {
        self.write(format!("prepare {}", spec.namespace));
        self.obstacle()
    }

    async fn clear(&self, spec: &EnvironmentSpec) -> Result<(), Obstacle> {
        self.write(format!("clear {}", spec.namespace));
        self.obstacle()
    }

    fn remote(&self, _: &EnvironmentSpec, _: &Path) -> Remote {
        Remote::new(self.remote.to_str().unwrap(), Transport::Local)
    }

    fn watch(&self, _: &EnvironmentId, _: &EnvironmentSpec) -> Arc<Notify> {
        self.drift.clone()
    }

    fn unwatch(&self, id: &EnvironmentId) {
        self.write(format!("unwatch {id}"));
    }

    fn delivery(&self, _: &EnvironmentId, _: &EnvironmentSpec) -> Notes {
        self.clone()
    }

    fn kinds(&self) -> watch::Receiver<Arc<Kinds>> {
        self.kinds.subscribe()
    }
}

impl Deliver for Notes {
    async fn converge(
        &mut self,
        mirror: &Mirror,
        commit: CommitId,
        spec: &EnvironmentSpec,
        _: &CancellationToken,
    ) -> Pass {
        assert!(mirror.repository().contains(&commit));
        self.write(format!("converge {commit}"));
        let end = self.ends.lock().unwrap().pop().unwrap_or(PassEnd::Complete);
        let outcome = if end == PassEnd::Complete {
            Outcome::Applied
        } else {
            Outcome::Failed
        };
        let key = ObjectKey {
            kind: "Service".into(),
            name: "web".into(),
            ..ObjectKey::default()
        };
        let object = ObjectResult {
            key,
            outcome: outcome.into(),
            message: "no".into(),
            ..ObjectResult::default()
        };
        let report = DeliveryReport {
            environment_id: spec.environment_id.clone(),
            commit: commit.to_string(),
            generation: spec.generation,
            objects: vec![object],
            ..DeliveryReport::default()
        };
        Pass { report, end }
    }
}

struct Bench {
    notes: Notes,
    outgoing: Outgoing,
    environments: Environments<Notes>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    said: Mutex<Vec<Say>>,
    folder: Arc<tempfile::TempDir>,
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Bench {
    fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        git(
            folder.path(),
            &["init", "--bare", "-q", "-b", "main", "remote.git"],
        );
        Self::on(folder)
    }

    fn on(folder: Arc<tempfile::TempDir>) -> Self {
        let notes = Notes {
            remote: folder.path().join("remote.git").into(),
            log: Arc::default(),
            ends: Arc::default(),
            obstacles: Arc::default(),
            drift: Arc::default(),
            kinds: watch::Sender::new(Arc::default()),
        };
        let outgoing = Outgoing::detached();
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let data = folder.path().join("data");
        let resync = Duration::from_secs(60);
        let environments = Environments::new(
            notes.clone(),
            outgoing.clone(),
            data,
            resync,
            tracker.clone(),
            shutdown.clone(),
        );
        Self {
            notes,
            outgoing,
            environments,
            tracker,
            shutdown,
            said: Mutex::default(),
            folder,
        }
    }

    /// Makes a commit and moves the platform's tag to it.
    fn push(&self, subject: &str) -> String {
        let remote = self.folder.path().join("remote.git");
        let tree = git(&remote, &["hash-object", "-t", "tree", "-w", "/dev/null"]);
        let commit = git(&remote, &["commit-tree", &tree, "-m", subject]);
        git(&remote, &["update-ref", "refs/tags/devops-sync", &commit]);
        commit
    }

    fn tag(&self) -> Option<String> {
        let remote = self.folder.path().join("remote.git");
        let tag = git(
            &remote,
            &["for-each-ref", "--format=%(objectname)", "refs/tags/agent-sync"],
        );
        (!tag.is_empty()).then_some(tag)
    }

    async fn specify(&self, generation: u64, commit: &str, removal: Removal) {
        let spec = EnvironmentSpec {
            environment_id: "e1".into(),
            namespace: "shop".into(),
            wanted_commit: commit.into(),
            registered_fingerprint: "SHA256:x".into(),
            removal: removal.into(),
            generation,
            ..EnvironmentSpec::default()
        };
        self.environments.specified(spec).await.unwrap();
    }

    async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let wait = async {
            while !holds(self) {
                self.said.lock().unwrap().extend(self.outgoing.posted());
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!(
                "{what}; the log is {:?}, said was {:?}",
                self.log(),
                self.said.lock().unwrap()
            );
        }
    }

    fn log(&self) -> Vec<String> {
        self.notes.log.lock().unwrap().clone()
    }

    fn converged(&self, commit: &str) -> usize {
        self.log()
            .iter()
            .filter(|line| **line == format!("converge {commit}"))
            .count()
    }

    fn statuses(&self) -> Vec<EnvironmentStatus> {
        let said = self.said.lock().unwrap();
        said.iter()
            .filter_map(|say| {
                if let Say::EnvironmentStatus(it) = say {
                    Some(it.clone())
                } else {
                    None
                }
            })
            .collect()
    }

    fn reports(&self) -> Vec<DeliveryReport> {
        let said = self.said.lock().unwrap();
        said.iter()
            .filter_map(|say| {
                if let Say::Delivery(it) = say {
                    Some(it.clone())
                } else {
                    None
                }
            })
            .collect()
    }

    fn is_ready(&self) -> bool {
        self.statuses()
            .last()
            .is_some_and(|status| status.phase() == EnvironmentPhase::Ready)
    }

    /// Ends everything and starts a new agent on the same files.
    async fn restart(self) -> Self {
        self.stop().await;
        let folder = self.folder.clone();
        drop(self);
        Self::on(folder)
    }

    async fn stop(&self) {
        self.shutdown.cancel();
        self.tracker.close();
        timeout(PATIENCE, self.tracker.wait())
            .await
            .expect("every task ends");
    }
}

#[tokio::test]
async fn a_new_environment_tells_its_key_proves_its_rights_and_delivers() {
    let bench = Bench::new();
    let commit = bench.push("one");
    bench.specify(1, &commit, Removal::No).await;

    bench.until("ready", Bench::is_ready).await;
    bench
        .until("tagged", |bench| bench.tag() == Some(commit.clone()))
        .await;
    bench
        .until("told", |bench| {
            bench
                .reports()
                .last()
                .is_some_and(|report| report.agent_sync == commit)
        })
        .await;

    let first = &bench.statuses()[0];
    assert!(
        first.public_key.starts_with("ssh-ed25519 ") && first.phase() == EnvironmentPhase::Preparing,
        "{first:?}"
    );
    assert_eq!(
        bench.log(),
        ["prepare shop".to_owned(), format!("converge {commit}")]
    );
    let reports = bench.reports();
    assert_eq!(
        (reports[0].agent_sync.as_str(), reports[0].attempt),
        ("", 1),
        "applied is told before the tag moves"
    );
    bench.stop().await;
}

#[tokio::test]
async fn a_push_is_delivered_and_a_lost_word_only_delays() {
    let bench = Bench::new();
    let one = bench.push("one");
    bench.specify(1, &one, Removal::No).await;
    bench
        .until("the first", |bench| bench.tag() == Some(one.clone()))
        .await;

    // one word is lost, the next one counts
    bench.push("two");
    let three = bench.push("three");
    bench.specify(3, &three, Removal::No).await;

    bench
        .until("the third", |bench| bench.tag() == Some(three.clone()))
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn what_failed_keeps_the_tag_where_it_was_and_is_tried_again() {
    let bench = Bench::new();
    bench.notes.ends.lock().unwrap().push(PassEnd::Failed);
    let commit = bench.push("one");
    bench.specify(1, &commit, Removal::No).await;

    bench
        .until("a failed pass", |bench| bench.reports().len() == 1)
        .await;
    assert_eq!(bench.tag(), None);
    bench
        .until("tagged", |bench| bench.tag() == Some(commit.clone()))
        .await;
    bench
        .until("a second pass is told", |bench| bench.reports().len() >= 2)
        .await;

    assert_eq!(bench.converged(&commit), 2);
    let attempts: Vec<u32> = bench.reports().iter().map(|report| report.attempt).collect();
    assert_eq!(attempts[..2], [1, 2]);
    let converge = format!("converge {commit}");
    let prepare = "prepare shop".to_owned();
    let looked_after = [&prepare, &converge, &prepare, &converge].map(String::clone);
    assert_eq!(
        bench.log(),
        looked_after,
        "a namespace that somebody deleted is made again"
    );
    bench.stop().await;
}

#[tokio::test]
async fn after_a_restart_it_goes_on_without_the_platform_and_without_its_repository() {
    let bench = Bench::new();
    let commit = bench.push("one");
    bench.specify(7, &commit, Removal::No).await;
    bench
        .until("tagged", |bench| bench.tag() == Some(commit.clone()))
        .await;

    let bench = bench.restart().await;
    std::fs::rename(
        bench.folder.path().join("remote.git"),
        bench.folder.path().join("away.git"),
    )
    .unwrap();
    assert_eq!(bench.environments.restore().await.unwrap(), 1);

    bench
        .until("delivered from the mirror", |bench| bench.converged(&commit) == 1)
        .await;
    bench.notes.drift.notify_one();
    bench
        .until("healed from the mirror", |bench| bench.converged(&commit) == 2)
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn a_sync_is_answered_when_its_pass_has_ended() {
    let bench = Bench::new();
    let commit = bench.push("one");
    bench.specify(1, &commit, Removal::No).await;
    bench
        .until("tagged", |bench| bench.tag() == Some(commit.clone()))
        .await;
    let before = bench.converged(&commit);

    let answer = bench
        .environments
        .directory()
        .ask_sync(&EnvironmentId::new("e1").unwrap())
        .unwrap();

    let synced = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(
        synced.end,
        SyncEnd::Passed {
            commit: commit.parse().unwrap(),
            end: PassEnd::Complete
        }
    );
    assert!(bench.converged(&commit) > before);
    bench.stop().await;
}

#[tokio::test]
async fn a_namespace_that_cannot_be_had_is_told_and_tried_again() {
    let bench = Bench::new();
    bench
        .notes
        .obstacles
        .lock()
        .unwrap()
        .push("it belongs to another environment".into());
    bench.specify(1, "", Removal::No).await;

    let told = |bench: &Bench| {
        bench
            .statuses()
            .iter()
            .any(|it| it.message.contains("another environment"))
    };
    bench.until("told", told).await;
    bench
        .until("tried again", |bench| {
            bench.log().iter().filter(|line| *line == "prepare shop").count() == 2
        })
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn a_removal_is_carried_through_reported_and_leaves_no_files() {
    let bench = Bench::new();
    let commit = bench.push("one");
    bench.specify(1, &commit, Removal::No).await;
    bench
        .until("tagged", |bench| bench.tag() == Some(commit.clone()))
        .await;

    bench
        .notes
        .obstacles
        .lock()
        .unwrap()
        .push("3 objects are being deleted".into());
    bench.specify(2, &commit, Removal::KeepNamespace).await;

    let removed = |bench: &Bench| {
        bench
            .statuses()
            .last()
            .is_some_and(|it| it.phase() == EnvironmentPhase::Removed)
    };
    bench.until("removed", removed).await;
    assert!(
        bench
            .statuses()
            .iter()
            .any(|status| status.message.contains("3 objects"))
    );
    assert_eq!(bench.log().iter().filter(|line| *line == "clear shop").count(), 2);
    assert!(!bench.folder.path().join("data/environments/e1").exists());

    // A platform that did not hear it asks again and is answered again.
    bench
        .until("forgotten", |bench| {
            bench.environments.directory().ids().is_empty()
        })
        .await;
    bench.said.lock().unwrap().clear();
    bench.specify(2, &commit, Removal::KeepNamespace).await;
    bench.until("removed again", removed).await;
    bench.stop().await;
}

#[tokio::test]
async fn what_the_platform_does_not_name_is_stopped_and_its_objects_are_left_alone() {
    let bench = Bench::new();
    let commit = bench.push("one");
    bench.specify(1, &commit, Removal::No).await;
    bench
        .until("tagged", |bench| bench.tag() == Some(commit.clone()))
        .await;

    bench.environments.retain(&["e2".to_owned()]);

    bench
        .until("files gone", |bench| {
            !bench.folder.path().join("data/environments/e1").exists()
        })
        .await;
    assert!(!bench.log().contains(&"clear shop".to_owned()));
    bench.stop().await;
}
