//! Keeps the table of kinds fresh: asked again when a CustomResourceDefinition changes, when somebody meets a kind that
//! is not in it, and on a slow clock. Readers never wait for the API server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::access::{ClusterError, deadline};
use super::kinds::{KindInfo, KindName, Kinds};

/// A definition that was just made is served a moment later; one look after this pause sees it.
const SETTLE: Duration = Duration::from_millis(100);
/// However many ask for an unknown kind, the API server is asked at most this often.
const AT_MOST_EVERY: Duration = Duration::from_millis(250);
/// Extension servers come and go without a CustomResourceDefinition that changes.
const SLOW_CLOCK: Duration = Duration::from_secs(300);

/// A cheap handle to the kinds that the cluster knows.
#[derive(Clone)]
pub struct Discovery {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    kinds: watch::Sender<Arc<Kinds>>,
    asked: Mutex<Option<Instant>>,
}

impl Discovery {
    /// Asks once, so that the table is never empty for its readers.
    pub async fn start(client: Client) -> Result<Self, ClusterError> {
        let discovery = Self {
            inner: Arc::new(Inner {
                client,
                kinds: watch::Sender::new(Arc::default()),
                asked: Mutex::new(None),
            }),
        };
        discovery.refresh().await?;
        Ok(discovery)
    }

    /// A handle with a table that is given, for tests.
    pub fn fixed(client: Client, kinds: Kinds) -> Self {
        let kinds = watch::Sender::new(Arc::new(kinds));
        Self {
            inner: Arc::new(Inner {
                client,
                kinds,
                asked: Mutex::new(None),
            }),
        }
    }

    /// What is known now.
    pub fn kinds(&self) -> Arc<Kinds> {
        self.inner.kinds.borrow().clone()
    }

    /// Wakes when the table has changed.
    pub fn changes(&self) -> watch::Receiver<Arc<Kinds>> {
        self.inner.kinds.subscribe()
    }

    /// Finds a kind, asking the API server anew if it is not in the table.
    pub async fn find(&self, name: &KindName) -> Result<Option<KindInfo>, ClusterError> {
        if let Some(info) = self.kinds().preferred(name) {
            return Ok(Some(info.clone()));
        }
        Ok(self.refresh().await?.preferred(name).cloned())
    }

    /// Asks the API server. Callers that come while one asks share its answer.
    pub async fn refresh(&self) -> Result<Arc<Kinds>, ClusterError> {
        let called = Instant::now();
        let mut asked = self.inner.asked.lock().await;
        if let Some(last) = *asked {
            // Asked by somebody else after this call began: that answer is as good.
            if last >= called {
                return Ok(self.kinds());
            }
            tokio::time::sleep_until(last + AT_MOST_EVERY).await;
        }
        *asked = Some(Instant::now());
        let client = &self.inner.client;
        let (core, groups) = tokio::try_join!(
            deadline(
                "the kinds of its core group",
                client.list_core_api_versions_aggregated()
            ),
            deadline("its kinds", client.list_api_groups_aggregated()),
        )?;
        let kinds = Kinds::from_discovery([&core, &groups], &self.kinds());
        self.inner.kinds.send_if_modified(|known| {
            let changed = **known != kinds;
            if changed {
                *known = Arc::new(kinds);
            }
            changed
        });
        Ok(self.kinds())
    }

    /// Runs until `shutdown`: watches definitions and asks again when they change.
    pub async fn keep_fresh(self, shutdown: CancellationToken) {
        let definitions: Api<PartialObjectMeta<CustomResourceDefinition>> =
            Api::all(self.inner.client.clone());
        let mut events = watcher(definitions, watcher::Config::default())
            .default_backoff()
            .boxed();
        let mut due: Option<Instant> = None;
        let mut clock = tokio::time::interval_at(Instant::now() + SLOW_CLOCK, SLOW_CLOCK);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = clock.tick() => due = Some(Instant::now()),
                event = events.next() => match event {
                    Some(Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_) | watcher::Event::InitDone)) => {
                        due.get_or_insert(Instant::now() + SETTLE);
                    }
                    Some(Ok(_)) => {}
                    Some(Err(cause)) => tracing::debug!(%cause, "the watch of definitions broke and starts again"),
                    None => return,
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    due = None;
                    if let Err(cause) = self.refresh().await {
                        tracing::warn!(%cause, "the kinds of the cluster could not be read; the known ones stay in use");
                    }
                }
            }
        }
    }
}
