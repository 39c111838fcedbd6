//! From a push to the new wish of an environment.
//!
//! In: the word that a repository has something new, and a clock, since a word may be lost. Out: one transaction with the commit,
//! its records and its errors; then the tag `devops-sync`; then a word to the fleet. Every step may be repeated: a crash between
//! two of them is mended by the next pass. Commits are compared by their trees, never by ancestry, so a rewritten history is a
//! commit like any other. Nothing here deletes anything in a cluster.

mod pass;
mod read;
mod scope;
mod slots;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fleet::Fleet;
use crate::repositories::Repositories;
use crate::store::Store;
use pass::Known;
pub(crate) use pass::record;
pub use scope::OfferedKind;
pub(crate) use scope::Scopes;
use slots::{Claim, Slots};

/// How often all repositories are looked at, whether anybody said anything or not.
const CLOCK: Duration = Duration::from_secs(30);
/// Passes at once. A pass of a pushed file is done in milliseconds; more at once would only wait for the database's writer.
const PASSES: usize = 16;
/// Of these, so many for the clock: a push never waits behind ten thousand repositories that are looked through.
const PASSES_OF_CLOCK: usize = 4;
/// A lock or a busy database is over soon; what is not is left to the clock.
const AGAIN: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
];

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
    slots: Arc<Slots>,
    passes: Semaphore,
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
            slots: Arc::default(),
            passes: Semaphore::new(PASSES),
        };
        let intake = Self {
            inner: Arc::new(inner),
        };
        intake.inner.tasks.spawn(intake.clone().keep_looking());
        intake
    }

    /// A repository has something new, perhaps. Returns at once; words that come while a pass runs lead to one more pass.
    pub fn notify(&self, environment: &str) {
        if let Some(claim) = self.inner.slots.claim(environment) {
            self.inner.tasks.spawn(self.clone().work(claim));
        }
    }

    async fn work(self, mut claim: Claim) {
        let shutdown = self.inner.shutdown.clone();
        let all = async {
            loop {
                let known = self.pass(&mut claim).await;
                match (known, claim.release()) {
                    (Known::Gone, _) | (Known::There, None) => return,
                    (Known::There, Some(again)) => claim = again,
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = all => {}
        }
    }

    async fn pass(&self, claim: &mut Claim) -> Known {
        let inner = &self.inner;
        let mut waits = AGAIN.iter();
        loop {
            let outcome = {
                // The semaphore is never closed.
                let _permit = inner.passes.acquire().await;
                let environment = claim.environment().to_owned();
                claim
                    .worker()
                    .pass(&inner.store, &inner.repositories, &inner.fleet, &environment)
                    .await
            };
            let error = match outcome {
                Ok(known) => return known,
                Err(error) => error,
            };
            let environment = claim.environment();
            match waits.next().filter(|_| error.is_soon_over()) {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => {
                    tracing::error!(%environment, %error, "a repository could not be taken in; the clock tries again");
                    return Known::There;
                }
            }
        }
    }

    async fn keep_looking(self) {
        let mut clock = tokio::time::interval(CLOCK);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.inner.shutdown.cancelled() => return,
                _ = clock.tick() => {}
            }
            match self.inner.store.environment_ids().await {
                Ok(all) => self.look_through(all).await,
                Err(error) => {
                    tracing::warn!(%error, "the repositories could not be looked through; the clock tries again")
                }
            }
        }
    }

    async fn look_through(&self, all: Vec<String>) {
        self.inner.slots.keep(&all);
        futures_util::stream::iter(all)
            .for_each_concurrent(PASSES_OF_CLOCK, async |environment| {
                if let Some(claim) = self.inner.slots.claim(&environment) {
                    // A task of its own: a defect that one repository brings to light must not end the clock of all.
                    let _ = self.inner.tasks.spawn(self.clone().work(claim)).await;
                }
            })
            .await;
    }
}
