//! What lives in the cluster: watched, digested, told to the platform.
//!
//! In: lists and watches of the API server, and the answers to the agent's own writes. Out: one state per object that
//! changed, a digest per environment and kind, a wake-up for an environment whose managed objects were touched by
//! somebody else, and for delivery what lives now ([`look`]). Never: an object itself, the value of a Secret, a write.
//!
//! - `kinds`: which kinds are watched (pure)
//! - `observe`: from an object to what is kept of it (pure)
//! - `index`, `events`: the table of all that is kept, and what follows from a change of it (pure)
//! - `watch`, `page`, `verify`: one kind, from the API server into the table
//! - `keep`: a watch for each kind
//! - `answer`: what the platform asks for
//! - `crash_logs`: the last words of containers that crashed

mod answer;
mod crash_logs;
mod events;
mod index;
mod keep;
mod kinds;
mod look;
mod observe;
mod page;
mod verify;
mod watch;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use c7n_link::messages::{DetailRequest, ObjectKey, Say};
use kube::Client;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, watch as channel};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::{Discovery, KindInfo, KindName};
use crate::environments::EnvironmentId;
use crate::releases::Eyes;
use crate::session::Outgoing;
use index::cause::Wish;
use index::{Effects, Index};

pub use look::{Known, Sighting, sighting};
pub use observe::{Fields, applyset_of};

/// A cheap handle.
#[derive(Clone)]
pub struct StateIndex {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    discovery: Discovery,
    outgoing: Outgoing,
    table: Mutex<Table>,
    /// Wakes who keeps the watches.
    wanted: Notify,
    /// Changes when more is known than before.
    coverage: channel::Sender<u64>,
    /// Objects about which a watch was wrong.
    healed: AtomicU64,
    crash_logs: mpsc::Sender<Wish>,
    /// Looks at what Helm made, as it passes.
    eyes: Arc<Eyes>,
}

#[derive(Default)]
struct Table {
    index: Index,
    /// Kinds that environments have applied, beside those that are always watched.
    asked: BTreeSet<KindName>,
    drift: HashMap<Arc<str>, Arc<Notify>>,
    /// The platform is to be told the digests when all is known.
    digests_due: bool,
    /// Sets that the platform has asked about and that are not known yet.
    details_due: Vec<DetailRequest>,
    /// What an earlier agent knew of causes the platform may still show: they are told once, as digests do not cover them.
    causes_told: bool,
}

impl StateIndex {
    /// Begins to watch as soon as there is an environment.
    pub fn new(
        client: Client,
        discovery: Discovery,
        outgoing: Outgoing,
        tracker: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let (crash_logs, wishes) = mpsc::channel(crash_logs::WAITING);
        let shared = Arc::new(Shared {
            client,
            discovery,
            outgoing,
            table: Mutex::default(),
            wanted: Notify::new(),
            coverage: channel::Sender::new(0),
            healed: AtomicU64::new(0),
            crash_logs,
            eyes: Arc::default(),
        });
        tracker.spawn(crash_logs::read(shared.clone(), wishes, shutdown.clone()));
        tracker.spawn(keep::keep(shared.clone(), shutdown));
        Self { shared }
    }

    /// See what is done to objects that Helm made.
    pub fn eyes(&self) -> Arc<Eyes> {
        self.shared.eyes.clone()
    }

    /// The answer is notified when a managed object of the environment is not what it was made.
    pub fn environment_added(&self, id: &EnvironmentId, namespace: &str) -> Arc<Notify> {
        let drift = self.shared.with_table(|table| {
            table.index.environment_added(id.as_str(), namespace);
            table.digests_due = true;
            table.drift.entry(id.as_str().into()).or_default().clone()
        });
        self.shared.wanted.notify_one();
        drift
    }

    pub fn environment_removed(&self, id: &EnvironmentId) {
        self.shared.with_table(|table| {
            table.index.environment_removed(id.as_str());
            table.drift.remove(id.as_str());
            table
                .details_due
                .retain(|request| request.environment_id != id.as_str());
        });
        self.shared.coverage_changed();
    }

    /// These kinds were applied and are watched from now on.
    pub fn watch_kinds(&self, kinds: impl IntoIterator<Item = KindName>) {
        let news = self.shared.with_table(|table| {
            let before = table.asked.len();
            table.asked.extend(kinds);
            table.asked.len() > before
        });
        if news {
            self.shared.wanted.notify_one();
        }
    }

    /// The same for kinds of which there are objects already: what a first list shows is told by digest, and so the digests are
    /// told anew.
    pub fn watch_kinds_that_live(&self, kinds: impl IntoIterator<Item = KindName>) {
        let news = self.shared.with_table(|table| {
            let watched = kinds::always();
            let before = table.asked.len();
            table
                .asked
                .extend(kinds.into_iter().filter(|kind| !watched.contains(kind)));
            let news = table.asked.len() > before;
            table.digests_due |= news;
            news
        });
        if news {
            self.shared.wanted.notify_one();
        }
    }

    /// Returns when the objects of these kinds are all known for the environment, or after `patience`.
    pub async fn known(&self, environment: &str, kinds: &BTreeSet<KindName>, patience: Duration) {
        let mut changes = self.shared.coverage.subscribe();
        let all = async {
            while !self
                .shared
                .with(|index| kinds.iter().all(|kind| index.covers(kind, environment)))
            {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // What is not known by then is asked for by whoever needs it.
        let _ = timeout(patience, all).await;
    }

    /// The agent is about to write the object: what the watch sees of it meanwhile is no drift.
    pub fn writing(&self, kind: &KindName, namespace: &str, name: &str) {
        self.shared.with(|index| index.writing(kind, namespace, name));
    }

    /// The answer to a write, as far as there was one.
    pub fn written(&self, info: &KindInfo, namespace: &str, name: &str, answer: Option<Value>) {
        let kind = KindName::new(info.resource.group.clone(), info.resource.kind.clone());
        let homes = self.shared.with(|index| index.homes());
        let watched = self.shared.with(|index| index.info(&kind).cloned());
        // Kept in the version that is watched: another one may say other things.
        let seen = answer.filter(|_| watched.is_some_and(|watched| watched.resource == info.resource));
        let seen = seen.and_then(|mut object| observe::observe(&homes, info, &mut object));
        self.shared
            .take(|index| index.written(&kind, namespace, name, seen));
    }

    /// The agent is deleting the object.
    pub fn leaving(&self, kind: &KindName, namespace: &str, name: &str) {
        self.shared.with(|index| index.leaving(kind, namespace, name));
    }

    /// The fields with this digest cover the manifest.
    pub fn checked(
        &self,
        kind: &KindName,
        namespace: &str,
        name: &str,
        digest: c7n_manifests::ManifestDigest,
    ) {
        self.shared
            .with(|index| index.checked(kind, namespace, name, digest));
    }

    /// The commit and the file that an object was last applied from.
    pub fn applied_from(&self, environment: &str, key: &ObjectKey) -> Option<(String, String)> {
        let state = self.shared.with(|index| index.object(environment, key))?;
        state.managed.then_some((state.commit, state.file))
    }

    /// How many objects are kept.
    pub fn len(&self) -> usize {
        self.shared.with(|index| index.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Objects about which a watch was wrong, since the start.
    pub fn healed(&self) -> u64 {
        self.shared.healed.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn with_table<T>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        // The table keeps no invariant over a panic of its caller; the next list repairs what it left.
        work(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Index) -> T) -> T {
        self.with_table(|table| work(&mut table.index))
    }

    /// Changes the table and carries out what follows.
    fn take(&self, work: impl FnOnce(&mut Index) -> Effects) {
        self.with_table(|table| {
            let mut effects = work(&mut table.index);
            for wish in std::mem::take(&mut effects.wishes) {
                // Whoever waits too long is asked for again when the pod is next seen.
                if let Err(refused) = self.crash_logs.try_send(wish) {
                    table.index.unwish(&refused.into_inner());
                }
            }
            self.carry_out(table, effects);
        });
    }

    /// Under the lock: what is said of an object must leave in the order in which it was seen.
    fn carry_out(&self, table: &Table, effects: Effects) {
        if !effects.says.is_empty() {
            self.outgoing.post_all(effects.says);
        }
        for environment in effects.drifted {
            if let Some(drift) = table.drift.get(&environment) {
                drift.notify_one();
            }
        }
    }

    /// A set became known, or does not have to be.
    fn coverage_changed(&self) {
        self.coverage.send_modify(|count| *count += 1);
        self.answer_what_is_due();
    }

    fn post(&self, say: Say) {
        self.outgoing.post(say);
    }
}
