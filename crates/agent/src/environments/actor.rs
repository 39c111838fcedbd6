//! The actor of one environment: carries out what its [`Schedule`] says and decides nothing itself.
//!
//! In: the specification, wishes to sync, drift. Out: status and reports for the platform, and what the [`World`] does.
//! Git and delivery run as tasks of the actor beside it, so that news are heard at any time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use c7n_git::{
    AGENT_SYNC, CommitId, DEVOPS_SYNC, Fetched, GitError, Mirror, Remote, Transport, ensure_key_pair,
};
use c7n_link::messages::{DeliveryReport, EnvironmentSpec, Outcome, Removal, Say};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::directory::{Lines, Synced};
use super::folder::Folder;
use super::id::EnvironmentId;
use super::schedule::{Action, Input, PassEnd, Schedule, SyncEnd, TagRights, Wanted};
use super::status::{Status, is_news, not_yet};
use super::world::{Deliver, Pass, World};
use crate::session::Outgoing;

/// What has begun when the agent stops may end in this time.
const GRACE: Duration = Duration::from_secs(15);
const REMOVAL_FIRST: Duration = Duration::from_millis(500);
const REMOVAL_CAP: Duration = Duration::from_secs(30);

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

    fn begin(&mut self, action: Action) {
        match (action, &self.ground) {
            (Action::Prepare, _) => self.begin_prepare(),
            (Action::Synced(end), _) => self.answer(end),
            (Action::Fetch, Some(ground)) => {
                let (shared, spec, folder) = (self.shared.clone(), self.spec.clone(), self.folder.clone());
                let (ground, cancel) = (ground.clone(), self.cancel.clone());
                self.spawn(Lane::Fetch, async move {
                    let (ground, outcome) = unless(&cancel, fetch(&shared, &spec, &folder, ground)).await?;
                    Some(Done::Fetched(ground, outcome))
                });
            }
            (Action::Converge { commit }, Some(ground)) => {
                let (shared, spec, mirror) = (self.shared.clone(), self.spec.clone(), ground.mirror.clone());
                let cancel = self.cancel.clone();
                let mut delivery = self
                    .delivery
                    .take()
                    .unwrap_or_else(|| shared.world.delivery(&self.id, &spec));
                self.spawn(Lane::Pass(commit), async move {
                    let pass = delivery.converge(&mirror, commit, &spec, &cancel).await;
                    Some(Done::Passed(delivery, pass))
                });
            }
            (Action::CheckTags, Some(ground)) => {
                let (shared, mirror, cancel) =
                    (self.shared.clone(), ground.mirror.clone(), self.cancel.clone());
                self.spawn(Lane::Tags, async move {
                    let _permit = shared.git.acquire().await.ok()?;
                    Some(Done::TagsChecked(
                        unless(&cancel, mirror.check_tag_rights()).await?,
                    ))
                });
            }
            (Action::MoveTag { commit }, Some(ground)) => {
                let (shared, mirror, cancel) =
                    (self.shared.clone(), ground.mirror.clone(), self.cancel.clone());
                let expected = self.schedule.tagged();
                self.spawn(Lane::Tags, async move {
                    let _permit = shared.git.acquire().await.ok()?;
                    let pushed = mirror.push_tag(AGENT_SYNC, expected.as_ref(), Some(&commit));
                    Some(Done::TagMoved(commit, unless(&cancel, pushed).await?))
                });
            }
            // The schedule begins these only when all is prepared.
            (Action::Fetch | Action::Converge { .. } | Action::CheckTags | Action::MoveTag { .. }, None) => {}
        }
    }

    fn begin_prepare(&mut self) {
        let (shared, spec, folder) = (self.shared.clone(), self.spec.clone(), self.folder.clone());
        let (cancel, comment) = (self.cancel.clone(), format!("c7n-agent {}", self.id));
        let (made, receiver) = oneshot::channel();
        self.made_key = Some(receiver);
        self.spawn(Lane::Prepare, async move {
            let ground = async {
                let key = async {
                    let pair = ensure_key_pair(folder.key(), &comment)
                        .await
                        .map_err(|error| error.to_string())?;
                    let _ = made.send(pair.public.clone());
                    Ok(pair)
                };
                let namespace = async {
                    shared
                        .world
                        .prepare_namespace(&spec)
                        .await
                        .map_err(|obstacle| obstacle.0)
                };
                let (pair, ()) = tokio::try_join!(key, namespace)?;
                let remote = shared.world.remote(&spec, &pair.private);
                let mirror = Mirror::open(folder.mirror(), remote.clone())
                    .await
                    .map_err(|error| error.to_string())?;
                Ok(Ground {
                    mirror: Arc::new(mirror),
                    remote,
                    private_key: pair.private,
                })
            };
            Some(Done::Prepared(unless(&cancel, ground).await?))
        });
    }

    /// `None` is the end of a task that was cancelled.
    fn spawn(&mut self, lane: Lane, job: impl Future<Output = Option<Done<W::Delivery>>> + Send + 'static) {
        let cancel = self.cancel.clone();
        let job = Box::pin(job);
        let handle = self.jobs.spawn(async move {
            match job.await {
                Some(done) => done,
                None => {
                    // Nobody hears of it: the actor stops, or waits for its tasks before it removes the environment.
                    cancel.cancelled().await;
                    std::future::pending().await
                }
            }
        });
        self.running.insert(handle.id(), lane);
    }

    fn ended(&mut self, ended: Result<(Id, Done<W::Delivery>), tokio::task::JoinError>) {
        match ended {
            Ok((task, done)) => {
                self.running.remove(&task);
                self.done(done);
            }
            Err(error) => {
                let lane = self.running.remove(&error.id());
                tracing::error!(environment = %self.id, %error, "a task of the environment broke; it is begun again");
                match lane {
                    Some(Lane::Prepare) => self.step(Input::PrepareFailed),
                    Some(Lane::Fetch) => self.step(Input::FetchFailed),
                    Some(Lane::Pass(commit)) => self.step(Input::Converged {
                        commit,
                        end: PassEnd::Failed,
                    }),
                    Some(Lane::Tags) => self.step(Input::TagsFailed),
                    None => {}
                }
            }
        }
    }

    fn done(&mut self, done: Done<W::Delivery>) {
        match done {
            Done::Prepared(Ok(ground)) => {
                let local = ground
                    .mirror
                    .repository()
                    .resolve(DEVOPS_SYNC)
                    .unwrap_or_default();
                let tags = if self.folder.knows_tag_rights() {
                    TagRights::Checked
                } else {
                    TagRights::Unchecked
                };
                if tags == TagRights::Checked {
                    self.status.tags(Ok(()));
                }
                self.status.prepared(Ok(()));
                self.ground = Some(ground);
                self.step(Input::Prepared { local, tags });
            }
            Done::Prepared(Err(message)) => {
                tracing::warn!(environment = %self.id, message, "the environment cannot be prepared; it is tried again");
                self.status.prepared(Err(message));
                self.step(Input::PrepareFailed);
            }
            Done::Fetched(ground, outcome) => {
                self.ground = Some(ground);
                self.fetched(outcome);
            }
            Done::Passed(delivery, pass) => {
                self.delivery = Some(delivery);
                self.passed(pass);
            }
            Done::TagsChecked(Ok(())) => {
                if let Err(cause) = self.folder.remember_tag_rights() {
                    tracing::debug!(environment = %self.id, %cause, "the tag rights will be checked again after a restart");
                }
                self.status.tags(Ok(()));
                self.step(Input::TagsChecked);
            }
            Done::TagMoved(commit, Ok(())) => {
                self.status.tags(Ok(()));
                self.step(Input::TagMoved { commit });
                self.tell_tag(commit);
            }
            Done::TagMoved(commit, Err(GitError::RefChanged { found, .. })) if found == Some(commit) => {
                self.step(Input::TagMoved { commit });
                self.tell_tag(commit);
            }
            Done::TagMoved(_, Err(GitError::RefChanged { found, .. })) => {
                self.step(Input::TagElsewhere { found })
            }
            Done::TagsChecked(Err(error)) | Done::TagMoved(_, Err(error)) => {
                tracing::warn!(environment = %self.id, %error, "the tags of the repository cannot be moved");
                self.status.tags(Err(&error));
                self.step(Input::TagsFailed);
            }
        }
        self.post_status();
    }

    fn fetched(&mut self, outcome: Result<Fetched, GitError>) {
        self.status.fetched(outcome.as_ref().map(|_| ()));
        match outcome {
            Ok(fetched) => {
                let at = |reference| fetched.refs.get(reference).copied().flatten();
                self.step(Input::Fetched {
                    parsed: at(DEVOPS_SYNC),
                    applied: at(AGENT_SYNC),
                });
            }
            Err(error) => {
                tracing::debug!(environment = %self.id, %error, "the repository cannot be fetched");
                self.fetch_trouble = error.to_string();
                self.step(if not_yet(&error) {
                    Input::FetchNotYet
                } else {
                    Input::FetchFailed
                });
            }
        }
    }

    fn passed(&mut self, pass: Pass) {
        let Pass { mut report, end } = pass;
        let Ok(commit) = report.commit.parse() else {
            tracing::error!(environment = %self.id, commit = report.commit, "a report names no commit");
            return;
        };
        report.agent_sync = self
            .schedule
            .tagged()
            .map(|tagged| tagged.to_string())
            .unwrap_or_default();
        if report.attempt == 0 {
            let before = self
                .report
                .as_ref()
                .filter(|before| before.commit == report.commit);
            report.attempt = before.map_or(0, |before| before.attempt) + 1;
        }
        if is_news(self.report.as_ref(), &report) {
            self.report = Some(report.clone());
            self.shared.outgoing.post(Say::Delivery(report));
        }
        self.step(Input::Converged { commit, end });
    }

    /// The report of the commit is said again, with the tag where it is now.
    fn tell_tag(&mut self, commit: CommitId) {
        if let Some(report) = &mut self.report
            && report.commit == commit.to_string()
            && report.agent_sync != report.commit
        {
            report.agent_sync.clone_from(&report.commit);
            self.shared.outgoing.post(Say::Delivery(report.clone()));
        }
    }

    fn answer(&mut self, end: SyncEnd) {
        let message = match end {
            SyncEnd::NothingWanted => "nothing was pushed yet".to_owned(),
            SyncEnd::FetchFailed => self.fetch_trouble.clone(),
            SyncEnd::Passed { .. } => self.report.as_ref().map(first_trouble).unwrap_or_default(),
        };
        for waiting in self.waiting.drain(..) {
            // Who asked may have gone.
            let _ = waiting.send(Synced {
                end,
                message: message.clone(),
            });
        }
    }

    fn post_status(&mut self) {
        if let Some(news) = self.status.news() {
            self.shared.outgoing.post(Say::EnvironmentStatus(news));
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

    /// Clears the cluster as the specification asks, until that has gone well or the agent stops.
    async fn remove(mut self) -> Exit {
        self.settle().await;
        self.shared.world.unwatch(&self.id);
        self.delivery = None;
        let mut wait = REMOVAL_FIRST;
        loop {
            let stop = self.lines.stop.clone();
            let Some(cleared) = unless(&stop, self.shared.world.clear(&self.spec)).await else {
                return Exit::Stopped;
            };
            match cleared {
                Ok(()) => {
                    // The folder goes first: a kill in between leaves a removal that the platform asks for again.
                    self.ground = None;
                    if let Err(cause) = self.folder.remove() {
                        tracing::warn!(environment = %self.id, %cause, "the files of a removed environment stay");
                    }
                    self.shared
                        .outgoing
                        .post(Say::EnvironmentStatus(self.status.removed()));
                    tracing::info!(environment = %self.id, namespace = self.spec.namespace, "environment removed");
                    return Exit::Removed;
                }
                Err(obstacle) => {
                    tracing::info!(environment = %self.id, reason = obstacle.0, "the environment is not removed yet");
                    self.shared
                        .outgoing
                        .post(Say::EnvironmentStatus(self.status.removing(&obstacle.0)));
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Exit::Stopped,
                () = sleep(wait) => wait = (wait * 2).min(REMOVAL_CAP),
                Ok(()) = self.lines.spec.changed() => self.spec = self.lines.spec.borrow_and_update().clone(),
            }
        }
    }
}

/// Fetches the two tags, after the mirror was opened anew if its settings have changed.
async fn fetch<W: World>(
    shared: &Shared<W>,
    spec: &EnvironmentSpec,
    folder: &Folder,
    mut ground: Ground,
) -> (Ground, Result<Fetched, GitError>) {
    let Ok(_permit) = shared.git.acquire().await else {
        let what = "fetching".to_owned();
        return (
            ground,
            Err(GitError::Failed {
                what,
                detail: "the agent stops".into(),
            }),
        );
    };
    let remote = shared.world.remote(spec, &ground.private_key);
    if !same(&remote, &ground.remote) {
        match Mirror::open(folder.mirror(), remote.clone()).await {
            Ok(mirror) => {
                ground = Ground {
                    mirror: Arc::new(mirror),
                    remote,
                    ..ground
                }
            }
            Err(error) => return (ground, Err(error)),
        }
    }
    let fetched = ground.mirror.fetch(&[DEVOPS_SYNC, AGENT_SYNC]).await;
    (ground, fetched)
}

fn same(a: &Remote, b: &Remote) -> bool {
    a.url == b.url
        && match (&a.transport, &b.transport) {
            (
                Transport::Ssh {
                    private_key,
                    known_hosts,
                },
                Transport::Ssh {
                    private_key: other_key,
                    known_hosts: other_hosts,
                },
            ) => private_key == other_key && known_hosts == other_hosts,
            (Transport::Http { authorization }, Transport::Http { authorization: other }) => {
                authorization == other
            }
            (Transport::Local, Transport::Local) => true,
            _ => false,
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

/// What a person should look at first.
fn first_trouble(report: &DeliveryReport) -> String {
    if !report.message.is_empty() {
        return report.message.clone();
    }
    let bad = |outcome| matches!(outcome, Outcome::Failed | Outcome::Refused | Outcome::Held);
    let mut objects = report.objects.iter().filter(|object| bad(object.outcome()));
    if let Some(first) = objects.next() {
        let more = objects.count();
        let rest = if more > 0 {
            format!(" (and {more} more)")
        } else {
            String::new()
        };
        return format!("{} {}: {}{rest}", first.key.kind, first.key.name, first.message);
    }
    let error = report.file_errors.first();
    error
        .map(|error| format!("{}:{}: {}", error.file, error.line, error.message))
        .unwrap_or_default()
}
