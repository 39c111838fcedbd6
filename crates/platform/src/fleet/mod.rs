//! The platform's end of the link: one session per connected agent.
//!
//! In: agents that dial `/agent/`, and words that something they should know has changed. Out: what is wanted of them, taken from
//! the database each time; what they report, stored before it is acknowledged. Which cluster a session speaks for comes from its
//! credential; what a message says about another cluster's environments is refused and told.

mod endpoint;
mod ingest;
mod introduce;
mod mailbox;
mod rotate;
mod session;
mod specs;
pub mod versions;
mod words;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::response::Response;
use c7n_api::CommandState;
use c7n_link::messages::OpenStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Wake;
use crate::instances::Teller;
use crate::repositories::Repositories;
use crate::store::{Credential, Store, StoreError};
use mailbox::Mailbox;

/// How often commands without an end are looked for.
const COMMAND_CLOCK: Duration = Duration::from_secs(2);
/// Agents that introduce themselves at the same time; the others wait their turn.
const INTRODUCTIONS: usize = 64;

/// Cheap to clone.
#[derive(Clone)]
pub struct Fleet {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    repositories: Repositories,
    instances: Teller,
    /// Credentials older than this are replaced.
    credential_age: Duration,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    introductions: Semaphore,
    /// The newest session of each cluster.
    sessions: Mutex<HashMap<String, Present>>,
}

struct Present {
    epoch: i64,
    mailbox: Arc<Mailbox>,
}

impl Fleet {
    /// Nobody is connected yet, whatever the database says of the last run.
    pub async fn start(
        store: Store,
        repositories: Repositories,
        instances: Teller,
        credential_age: Duration,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Result<Self, StoreError> {
        let mut tx = store.write().await?;
        tx.close_all_sessions().await?;
        tx.commit().await?;
        let inner = Inner {
            store,
            repositories,
            instances,
            credential_age,
            tasks,
            shutdown,
            introductions: Semaphore::new(INTRODUCTIONS),
            sessions: Mutex::default(),
        };
        let fleet = Self {
            inner: Arc::new(inner),
        };
        fleet.inner.tasks.spawn(fleet.clone().end_commands());
        Ok(fleet)
    }

    /// To be merged into the server's routes.
    pub fn router(&self) -> Router {
        endpoint::router(self.clone())
    }

    /// What is wanted of this environment of this cluster has changed.
    pub fn wake(&self, cluster: &str, environment: &str) {
        self.with_mailbox(cluster, |mailbox| mailbox.environment_changed(environment));
    }

    /// Whether an agent of this cluster has a session.
    pub fn is_connected(&self, cluster: &str) -> bool {
        let sessions = self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.contains_key(cluster)
    }

    /// Asks the agent to join a stream; false when none is connected.
    pub fn open_stream(&self, cluster: &str, open: OpenStream) -> bool {
        let sessions = self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(present) = sessions.get(cluster) else {
            return false;
        };
        present.mailbox.open_stream(open);
        true
    }

    /// The cluster whose credential this is, or why not.
    pub async fn judge(&self, headers: &HeaderMap) -> Result<Credential, Box<Response>> {
        endpoint::judge(self, headers).await
    }

    /// For the people who look at a cluster whose agent wants what is another's.
    pub async fn alarm(&self, cluster: &str, what: &str) {
        tracing::warn!(%cluster, %what, "an agent spoke of what is not its own; it was refused");
        let told = async {
            let mut tx = self.inner.store.write().await?;
            tx.cluster_message(cluster, Some(&ingest::not_its_own(what)))
                .await?;
            tx.commit().await
        };
        if let Err(error) = told.await {
            tracing::warn!(%cluster, %error, "an alarm could not be told");
        }
    }

    fn with_mailbox(&self, cluster: &str, tell: impl FnOnce(&Mailbox)) {
        let sessions = self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = sessions.get(cluster) {
            tell(&present.mailbox);
        }
    }

    /// The session of this epoch takes the place of an older one, which is told to close.
    fn present(&self, cluster: &str, epoch: i64) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::default());
        let mut sessions = self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        match sessions.get(cluster) {
            Some(newer) if newer.epoch > epoch => mailbox.close(mailbox::Reason::Superseded),
            older => {
                if let Some(older) = older {
                    older.mailbox.close(mailbox::Reason::Superseded);
                }
                sessions.insert(
                    cluster.to_owned(),
                    Present {
                        epoch,
                        mailbox: Arc::clone(&mailbox),
                    },
                );
            }
        }
        mailbox
    }

    /// Only what is still of this epoch is taken out.
    fn absent(&self, cluster: &str, epoch: i64) {
        let mut sessions = self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions
            .get(cluster)
            .is_some_and(|present| present.epoch == epoch)
        {
            sessions.remove(cluster);
        }
    }

    /// No command stays pending for ever (R20): past its deadline it ends as expired, and its agent is told to leave it.
    async fn end_commands(self) {
        let mut clock = tokio::time::interval(COMMAND_CLOCK);
        loop {
            tokio::select! {
                () = self.inner.shutdown.cancelled() => return,
                _ = clock.tick() => {}
            }
            if let Err(error) = self.end_overdue_commands().await {
                tracing::warn!(%error, "overdue commands could not be ended; the clock tries again");
            }
        }
    }

    async fn end_overdue_commands(&self) -> Result<(), StoreError> {
        let overdue = self.inner.store.overdue_commands().await?;
        let upgrades = self.inner.store.overdue_upgrades().await?;
        if overdue.is_empty() && upgrades.is_empty() {
            return Ok(());
        }
        let message =
            "no result came before the deadline; `c7n cluster show` tells whether the agent is connected";
        let mut tx = self.inner.store.write().await?;
        for upgrade in &upgrades {
            tx.finish_upgrade(upgrade, CommandState::Expired, Some(message))
                .await?;
        }
        for (command, _) in &overdue {
            tx.finish_command(command, CommandState::Expired, Some(message), None)
                .await?;
        }
        tx.commit().await?;
        let clusters: BTreeSet<&String> = overdue.iter().map(|(_, cluster)| cluster).collect();
        clusters
            .into_iter()
            .for_each(|cluster| self.commands_changed(cluster));
        Ok(())
    }
}

impl Wake for Fleet {
    fn environment_changed(&self, environment: &str) {
        let (fleet, environment) = (self.clone(), environment.to_owned());
        self.inner.tasks.spawn(async move {
            match fleet.inner.store.environment_row(&environment).await {
                Ok(Some(row)) => fleet.wake(&row.cluster_id, &environment),
                Ok(None) => {}
                // The agent learns of it when it next connects.
                Err(error) => tracing::warn!(%environment, %error, "an agent could not be told of a change"),
            }
        });
    }

    fn commands_changed(&self, cluster: &str) {
        self.with_mailbox(cluster, Mailbox::commands_changed);
    }

    fn cluster_deleted(&self, cluster: &str) {
        self.with_mailbox(cluster, |mailbox| mailbox.close(mailbox::Reason::ClusterDeleted));
    }
}
