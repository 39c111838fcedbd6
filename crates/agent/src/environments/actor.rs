//! The actor of one environment: carries out what its [`Schedule`] says and decides nothing itself.
//!
//! In: the specification, wishes to sync, drift. Out: status and reports for the platform, and what the [`World`] does.
//! Git and delivery run as tasks of the actor beside it, so that news are heard at any time.

mod begin;
mod done;
mod remove;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use c7n_git::{CommitId, Fetched, GitError, Mirror, Remote};
use c7n_link::messages::{DeliveryReport, EnvironmentSpec, Removal};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::directory::{Lines, Synced};
use super::folder::Folder;
use super::id::EnvironmentId;
use super::schedule::{Input, Schedule, Wanted};
use super::status::Status;
use super::world::{Pass, World};
use crate::session::Outgoing;

/// What has begun when the agent stops may end in this time.
const GRACE: Duration = Duration::from_secs(15);
const FETCHES_PER_MAINTENANCE: u32 = 200;

/// What all environments of the agent share.
pub(super) struct Shared<W> {
    pub world: W,
    pub outgoing: Outgoing,
    pub data: PathBuf,
    pub resync: Duration,
    /// How many git programs run at once.
    pub git: Semaphore,
}

/// How an actor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Stopped,
    Removed,
}

/// The end of something that ran beside the actor.
enum Done<D> {
    Prepared(Result<Ground, String>),
    Fetched(Ground, Result<Fetched, GitError>),
    Passed(D, Pass),
    Maintained(Result<(), GitError>),
    TagsChecked(Result<(), GitError>),
    TagMoved(CommitId, Result<(), GitError>),
}

/// The mirror, and the settings that it was opened with.
#[derive(Clone)]
struct Ground {
    mirror: Arc<Mirror>,
    remote: Remote,
    private_key: PathBuf,
}

/// What a task of the actor was about, for the case that it panics.
#[derive(Clone, Copy)]
enum Lane {
    Prepare,
    Fetch,
    Pass(CommitId),
    Tags,
    Maintenance,
}

pub(super) struct Actor<W: World> {
    shared: Arc<Shared<W>>,
    id: EnvironmentId,
    folder: Folder,
    lines: Lines,
    spec: EnvironmentSpec,
    schedule: Schedule,
    start: Instant,
    status: Status,
    ground: Option<Ground>,
    /// Away while a pass runs.
    delivery: Option<W::Delivery>,
    drift: Arc<Notify>,
    jobs: JoinSet<Done<W::Delivery>>,
    running: HashMap<Id, Lane>,
    made_key: Option<oneshot::Receiver<String>>,
    waiting: Vec<oneshot::Sender<Synced>>,
    report: Option<DeliveryReport>,
    fetch_trouble: String,
    /// The namespace may be gone: it is looked after before the next pass.
    doubt: bool,
    fetches: u32,
    /// Ends what runs, without ending the actor.
    cancel: CancellationToken,
}

impl<W: World> Actor<W> {
    pub fn new(shared: Arc<Shared<W>>, id: EnvironmentId, lines: Lines) -> Self {
        let spec = lines.spec.borrow().clone();
        Self {
            folder: Folder::of(&shared.data, &id),
            schedule: Schedule::new(shared.resync),
            start: Instant::now(),
            status: Status::new(&id),
            ground: None,
            delivery: Some(shared.world.delivery(&id, &spec)),
            drift: shared.world.watch(&id, &spec),
            jobs: JoinSet::new(),
            running: HashMap::new(),
            made_key: None,
            waiting: Vec::new(),
            report: None,
            fetch_trouble: String::new(),
            doubt: false,
            fetches: 0,
            cancel: lines.stop.child_token(),
            shared,
            id,
            lines,
            spec,
        }
    }

    /// Runs until it is stopped or the environment is removed.
    pub async fn run(mut self) -> Exit {
        let mut kinds = self.shared.world.kinds();
        kinds.mark_unchanged();
        self.lines.spec.mark_unchanged();
        if self.spec.removal() == Removal::No {
            self.wanted();
            self.step(Input::Started);
        }
        while self.spec.removal() == Removal::No {
            let tick = self.schedule.next_tick().map(|at| self.start + at);
            tokio::select! {
                () = self.lines.stop.cancelled() => {
                    self.settle().await;
                    self.shared.world.unwatch(&self.id);
                    return Exit::Stopped;
                }
                Some(ended) = self.jobs.join_next_with_id() => self.ended(ended),
                Ok(()) = self.lines.spec.changed() => self.told(),
                Some(answer) = self.lines.syncs.recv() => {
                    self.waiting.push(answer);
                    self.step(Input::SyncAsked);
                }
                line = made(&mut self.made_key) => {
                    self.made_key = None;
                    if let Some(line) = line {
                        self.status.public_key(&line);
                        self.post_status();
                    }
                }
                () = self.drift.notified() => self.step(Input::Drifted),
                Ok(()) = kinds.changed() => self.step(Input::KindsChanged),
                () = sleep_until(tick.unwrap_or_else(Instant::now)), if tick.is_some() => self.step(Input::Tick),
            }
        }
        self.remove().await
    }

    fn told(&mut self) {
        self.spec = self.lines.spec.borrow_and_update().clone();
        if self.spec.registered_fingerprint.is_empty() {
            // The platform seems not to have heard of the key, whatever was acknowledged.
            self.status.forget_told();
            self.post_status();
        }
        self.wanted();
    }

    fn wanted(&mut self) {
        let commit = self.spec.wanted_commit.parse().ok();
        self.step(Input::Wanted(Wanted {
            generation: self.spec.generation,
            commit,
        }));
    }

    fn step(&mut self, input: Input) {
        let actions = self.schedule.step(self.start.elapsed(), rand::random(), input);
        for action in actions {
            self.begin(action);
        }
    }

    /// Lets what has begun end, within bounds. What is only under way in the network is broken off.
    async fn settle(&mut self) {
        self.cancel.cancel();
        let passes = async {
            while self.running.values().any(|lane| matches!(lane, Lane::Pass(_))) {
                match self.jobs.join_next_with_id().await {
                    Some(Ok((task, done))) => {
                        self.running.remove(&task);
                        if let Done::Passed(_, pass) = done {
                            self.passed(pass);
                        }
                    }
                    Some(Err(error)) => drop(self.running.remove(&error.id())),
                    None => return,
                }
            }
        };
        if timeout(GRACE, passes).await.is_err() {
            tracing::warn!(environment = %self.id, "a pass did not end in time and is broken off; the next one repairs it");
        }
        self.jobs.shutdown().await;
    }
}

async fn made(key: &mut Option<oneshot::Receiver<String>>) -> Option<String> {
    match key {
        Some(receiver) => receiver.await.ok(),
        None => std::future::pending().await,
    }
}

/// The outcome, or `None` if the token came first.
async fn unless<T>(cancel: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => None,
        outcome = work => Some(outcome),
    }
}
