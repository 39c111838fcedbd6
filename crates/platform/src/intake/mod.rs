//! From a push to the new wish of an environment.
//!
//! In: the word that a repository has something new, and a clock, since a word may be lost. Out: one transaction with the commit,
//! its records and its errors; then the tag `devops-sync`; then a word to the fleet. Every step may be repeated: a crash between
//! two of them is mended by the next pass. Commits are compared by their trees, never by ancestry, so a rewritten history is a
//! commit like any other. Nothing here deletes anything in a cluster.

mod pass;
mod read;
mod scope;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fleet::Fleet;
use crate::repositories::Repositories;
use crate::store::Store;
use pass::Worker;
pub use scope::OfferedKind;

/// How often all repositories are looked at, whether anybody said anything or not.
const CLOCK: Duration = Duration::from_secs(30);

/// Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    repositories: Repositories,
    fleet: Fleet,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    slots: Mutex<HashMap<String, Slot>>,
}

/// One per repository. The worker is here while nobody works with it.
#[derive(Default)]
struct Slot {
    worker: Option<Worker>,
    busy: Busy,
}

#[derive(Default, PartialEq)]
enum Busy {
    #[default]
    No,
    Yes,
    /// Something came in meanwhile: one more pass sees all of it.
    OnceMore,
}

impl Intake {
    pub fn start(
        store: Store,
        repositories: Repositories,
        fleet: Fleet,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let inner = Inner {
            store,
            repositories,
            fleet,
            tasks,
            shutdown,
            slots: Mutex::default(),
        };
        let intake = Self {
            inner: Arc::new(inner),
        };
        intake.inner.tasks.spawn(intake.clone().keep_looking());
        intake
    }

    /// A repository has something new, perhaps. Returns at once; words that come while a pass runs lead to one more pass.
    pub fn notify(&self, environment: &str) {
        {
            let mut slots = self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = slots.entry(environment.to_owned()).or_default();
            if slot.busy != Busy::No {
                slot.busy = Busy::OnceMore;
                return;
            }
            slot.busy = Busy::Yes;
        }
        let (intake, environment) = (self.clone(), environment.to_owned());
        self.inner
            .tasks
            .spawn(async move { intake.work(environment).await });
    }

    async fn work(self, environment: String) {
        let mut worker = self
            .with_slot(&environment, |slot| slot.worker.take())
            .unwrap_or_default();
        loop {
            let inner = &self.inner;
            let pass = worker.pass(&inner.store, &inner.repositories, &inner.fleet, &environment);
            let outcome = tokio::select! {
                () = inner.shutdown.cancelled() => return,
                outcome = pass => outcome,
            };
            let known = match outcome {
                Ok(known) => known,
                Err(error) => {
                    tracing::error!(%environment, %error, "a repository could not be taken in; the clock tries again");
                    true
                }
            };
            if !known {
                self.inner
                    .slots
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&environment);
                return;
            }
            let mut kept = Some(worker);
            let again = self.with_slot(&environment, |slot| {
                let again = slot.busy == Busy::OnceMore;
                slot.busy = if again { Busy::Yes } else { Busy::No };
                if !again {
                    slot.worker = kept.take();
                }
                again
            });
            match kept {
                Some(back) if again => worker = back,
                _ => return,
            }
        }
    }

    fn with_slot<T>(&self, environment: &str, use_it: impl FnOnce(&mut Slot) -> T) -> T {
        let mut slots = self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(slots.entry(environment.to_owned()).or_default())
    }

    async fn keep_looking(self) {
        let mut clock = tokio::time::interval(CLOCK);
        loop {
            tokio::select! {
                () = self.inner.shutdown.cancelled() => return,
                _ = clock.tick() => {}
            }
            match self.inner.store.environment_ids().await {
                Ok(all) => all.iter().for_each(|environment| self.notify(environment)),
                Err(error) => {
                    tracing::warn!(%error, "the repositories could not be looked through; the clock tries again")
                }
            }
        }
    }
}
