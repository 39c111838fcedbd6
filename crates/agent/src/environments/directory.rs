//! Which environments there are now, and how to speak with each: a cheap handle for commands and the session.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use c7n_link::messages::{EnvironmentSpec, Removal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::id::EnvironmentId;
use super::schedule::SyncEnd;

/// How many may wait for the same sync.
const WAITING_SYNCS: usize = 32;

/// Answer to a sync: how it ended and, if it did not go well, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    pub end: SyncEnd,
    pub message: String,
}

/// What is kept of a running environment.
pub(super) struct Place {
    pub spec: watch::Sender<EnvironmentSpec>,
    pub syncs: mpsc::Sender<oneshot::Sender<Synced>>,
    pub stop: CancellationToken,
}

/// What the actor of an environment gets of the same.
pub(super) struct Lines {
    pub spec: watch::Receiver<EnvironmentSpec>,
    pub syncs: mpsc::Receiver<oneshot::Sender<Synced>>,
    pub stop: CancellationToken,
}

#[derive(Clone, Default)]
pub struct Directory {
    places: Arc<Mutex<BTreeMap<EnvironmentId, Place>>>,
    /// Grows with each change.
    changed: watch::Sender<u64>,
}

/// An environment, as those see it that act in its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    pub id: EnvironmentId,
    pub namespace: String,
    /// Kinds without a namespace that it may have, as `KIND.GROUP`.
    pub cluster_kinds: Vec<String>,
    /// It is being removed.
    pub leaving: bool,
}

impl Directory {
    /// The namespace in which commands for this environment act.
    pub fn namespace(&self, id: &EnvironmentId) -> Option<String> {
        self.locked(|places| Some(places.get(id)?.spec.borrow().namespace.clone()))
    }

    /// Asks for a fetch and a pass; the receiver hears how they went. `None` if there is no such environment, or too
    /// many ask.
    pub fn ask_sync(&self, id: &EnvironmentId) -> Option<oneshot::Receiver<Synced>> {
        let (answer, answered) = oneshot::channel();
        self.locked(|places| places.get(id)?.syncs.try_send(answer).ok())?;
        Some(answered)
    }

    /// The environment whose namespace this is.
    pub fn resident(&self, namespace: &str) -> Option<Resident> {
        self.residents()
            .into_iter()
            .find(|resident| resident.namespace == namespace)
    }

    pub fn residents(&self) -> Vec<Resident> {
        self.locked(|places| {
            let resident = |(id, place): (&EnvironmentId, &Place)| {
                let spec = place.spec.borrow();
                Resident {
                    id: id.clone(),
                    namespace: spec.namespace.clone(),
                    cluster_kinds: spec.allowed_cluster_kinds.clone(),
                    leaving: spec.removal() != Removal::No,
                }
            };
            places.iter().map(resident).collect()
        })
    }

    /// Wakes when environments come, change or go.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub fn ids(&self) -> Vec<EnvironmentId> {
        self.locked(|places| places.keys().cloned().collect())
    }

    /// Tells a running environment what is wanted of it now. `None` if there is none.
    pub(super) fn tell(&self, id: &EnvironmentId, spec: EnvironmentSpec) -> Option<()> {
        self.locked(|places| {
            places.get(id)?.spec.send_replace(spec);
            Some(())
        })?;
        self.bump();
        Some(())
    }

    pub(super) fn spec(&self, id: &EnvironmentId) -> Option<EnvironmentSpec> {
        self.locked(|places| Some(places.get(id)?.spec.borrow().clone()))
    }

    pub(super) fn add(&self, id: EnvironmentId, spec: EnvironmentSpec, stop: CancellationToken) -> Lines {
        let (spec, specs) = watch::channel(spec);
        let (syncs, asked) = mpsc::channel(WAITING_SYNCS);
        self.locked(|places| {
            places.insert(
                id,
                Place {
                    spec,
                    syncs,
                    stop: stop.clone(),
                },
            )
        });
        self.bump();
        Lines {
            spec: specs,
            syncs: asked,
            stop,
        }
    }

    pub(super) fn remove(&self, id: &EnvironmentId) -> Option<Place> {
        let place = self.locked(|places| places.remove(id));
        self.bump();
        place
    }

    fn bump(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn locked<T>(&self, work: impl FnOnce(&mut BTreeMap<EnvironmentId, Place>) -> T) -> T {
        // No work under this lock can leave the map half-changed.
        work(&mut self.places.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
