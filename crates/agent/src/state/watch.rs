//! Watches one kind: lists it page by page, then follows its changes, and lists anew where that cannot go on.
//!
//! In: what the API server says. Out: calls of the index. For the whole cluster where that is permitted, else one watch
//! for each namespace. Lists come at most once a second and a watch that is closed at once is not opened at once
//! (kubernetes#104171); one that is mute for too long is opened anew, and a slow clock compares what is known with a
//! fresh list, because a watch can lie.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use c7n_link::Backoff;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use kube::Resource;
use kube::api::{DynamicObject, ListParams, Request, WatchEvent, WatchParams};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::index::Reach;
use super::observe::{Version, observe};
use super::page::read_page;
use super::verify::verify;
use crate::cluster::{KindInfo, KindName, Scope};
use trouble::Trouble;

mod trouble;

/// Objects of one page: as text it is in memory as a whole.
const PAGE: u32 = 500;
const PAGE_DEADLINE: Duration = Duration::from_secs(60);
const LIST_AT_MOST_EVERY: Duration = Duration::from_secs(1);
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A watch that ended sooner has not done its work.
const TOO_SHORT: Duration = Duration::from_secs(1);
/// The API server is asked to end a watch after this time; kept below five minutes because proxies do not wait longer.
const WATCH_SECONDS: u32 = 290;
/// By then it has ended, or the connection is dead.
const WATCH_DEADLINE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);
/// What is forbidden now may be permitted later.
const ASK_AGAIN: Duration = Duration::from_secs(600);
const SLOW_CLOCK: Duration = Duration::from_secs(300);

/// One kind, and how it is asked for.
#[derive(Clone)]
pub(super) struct Watched {
    pub shared: Arc<Shared>,
    pub name: KindName,
    pub info: KindInfo,
    pub wake: Arc<Notify>,
}

/// Why a watch of one reach ended for good.
enum End {
    Forbidden,
}

impl Watched {
    /// Runs until it is dropped or `cancel`.
    pub async fn run(self, cancel: CancellationToken) {
        let work = async {
            loop {
                let End::Forbidden = self.follow(Reach::Cluster, Some(&self.wake)).await;
                if self.info.scope == Scope::Namespaced {
                    self.follow_namespaces().await;
                } else {
                    tracing::info!(kind = %self.name, "this agent may not see the kind; it is not reported");
                    self.shared.with(|index| index.set_forbidden(&self.name));
                    self.shared.coverage_changed();
                    sleep(ASK_AGAIN).await;
                }
            }
        };
        tokio::select! {
            () = cancel.cancelled() => {}
            () = work => {}
        }
    }

    /// One watch for each environment, until it is time to ask for the whole cluster again.
    async fn follow_namespaces(&self) {
        tracing::info!(kind = %self.name, "this agent may not see the kind in the whole cluster; each namespace is watched");
        let until = Instant::now() + ASK_AGAIN;
        let mut tasks: BTreeMap<Arc<str>, CancellationToken> = BTreeMap::new();
        let mut running = JoinSet::new();
        loop {
            let homes = self.shared.with(|index| index.homes());
            tasks.retain(|namespace, stop| {
                let stays = homes.by_namespace.contains_key(namespace);
                if !stays {
                    stop.cancel();
                }
                stays
            });
            for namespace in homes.by_namespace.keys() {
                if tasks.contains_key(namespace) {
                    continue;
                }
                let stop = CancellationToken::new();
                tasks.insert(namespace.clone(), stop.clone());
                let (watched, namespace) = (self.clone(), namespace.clone());
                running.spawn(async move {
                    let follow = async {
                        loop {
                            let End::Forbidden =
                                watched.follow(Reach::Namespace(namespace.clone()), None).await;
                            watched.shared.with(|index| index.set_forbidden(&watched.name));
                            watched.shared.coverage_changed();
                            sleep(ASK_AGAIN).await;
                        }
                    };
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = follow => {}
                    }
                });
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep_until(until) => return,
                Some(_) = running.join_next() => {}
            }
        }
    }

    /// Lists and watches. `wake` tells of environments that came after the list.
    async fn follow(&self, reach: Reach, wake: Option<&Notify>) -> End {
        let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        let mut listed: Option<Instant> = None;
        loop {
            if let Some(listed) = listed {
                sleep_until(listed + LIST_AT_MOST_EVERY).await;
            }
            listed = Some(Instant::now());
            match self.list(&reach).await {
                Ok(version) => {
                    backoff.reset();
                    self.shared.coverage_changed();
                    if let Some(end) = self.watch(&reach, version, wake).await {
                        return end;
                    }
                }
                Err(Trouble::Forbidden) => return End::Forbidden,
                Err(Trouble::Expired) => {}
                Err(Trouble::Other { text, retry_after }) => {
                    tracing::debug!(kind = %self.name, text, "the kind cannot be listed; it is tried again");
                    sleep(backoff.next(rand::random(), retry_after)).await;
                }
            }
        }
    }

    /// Follows the changes since `version`. Ends when a new list is needed.
    async fn watch(&self, reach: &Reach, mut version: String, wake: Option<&Notify>) -> Option<End> {
        let mut backoff = Backoff::new(BACKOFF.0 / 5, BACKOFF.1);
        let jitter = SLOW_CLOCK.mul_f64(rand::random::<f64>() * 0.2);
        let mut check = Instant::now() + SLOW_CLOCK + jitter;
        // Beside the watch: what it shows meanwhile is no lie.
        let mut checking = None;
        loop {
            let opened = Instant::now();
            let mut moved = false;
            let mut retry_after = None;
            let params = WatchParams::default().timeout(WATCH_SECONDS);
            let opening = async {
                let request = self
                    .request(reach)
                    .watch(&params, &version)
                    .map_err(kube::Error::BuildRequest)?;
                self.shared.client.request_events::<Value>(request).await
            };
            match timeout(PAGE_DEADLINE, opening).await {
                Ok(Ok(events)) => {
                    let mut events = Box::pin(events);
                    let deadline = opened + WATCH_DEADLINE;
                    loop {
                        let woken = async {
                            match wake {
                                Some(wake) => wake.notified().await,
                                None => std::future::pending().await,
                            }
                        };
                        tokio::select! {
                            biased;
                            () = woken => self.fill_in().await,
                            event = events.next() => match event {
                                Some(Ok(event)) => match self.take_in(reach, event) {
                                    Taken::To(next) => {
                                        moved = true;
                                        version = next;
                                    }
                                    Taken::Nothing => {}
                                    Taken::Expired => return None,
                                },
                                Some(Err(cause)) => match Trouble::of(cause) {
                                    Trouble::Expired => return None,
                                    Trouble::Forbidden => return Some(End::Forbidden),
                                    Trouble::Other { text, retry_after: asked } => {
                                        tracing::debug!(kind = %self.name, text, "a watch broke; it is opened again");
                                        retry_after = asked;
                                        break;
                                    }
                                },
                                None => break,
                            },
                            () = sleep_until(check) => {
                                check = Instant::now() + SLOW_CLOCK;
                                checking = Some(Box::pin(verify(self, reach)));
                            }
                            Some(lies) = checked(&mut checking) => {
                                checking = None;
                                if lies > 0 {
                                    return None;
                                }
                            }
                            () = sleep_until(deadline) => break,
                        }
                    }
                }
                Ok(Err(cause)) => match Trouble::of(cause) {
                    Trouble::Expired => return None,
                    Trouble::Forbidden => return Some(End::Forbidden),
                    Trouble::Other {
                        text,
                        retry_after: asked,
                    } => {
                        tracing::debug!(kind = %self.name, text, "a watch cannot be opened; it is tried again");
                        retry_after = asked;
                    }
                },
                Err(_) => {}
            }
            if moved || (opened.elapsed() >= TOO_SHORT && retry_after.is_none()) {
                backoff.reset();
                // One that shows a change and closes, again and again, is not followed as fast as the machine can.
                sleep_until(opened + TOO_SHORT / 10).await;
            } else {
                sleep(backoff.next(rand::random(), retry_after).max(TOO_SHORT / 10)).await;
            }
        }
    }

    fn take_in(&self, reach: &Reach, event: WatchEvent<Value>) -> Taken {
        match event {
            WatchEvent::Added(mut object) | WatchEvent::Modified(mut object) => {
                self.shared.eyes.seen(&object);
                let homes = self.shared.with(|index| index.homes());
                let version = version_text(&object);
                let seen = observe(&homes, &self.info, &mut object);
                self.shared.take(|index| match seen {
                    Some(seen) => index.seen(&self.name, reach, seen),
                    None => {
                        let (namespace, name) = place(&object);
                        index.gone(&self.name, reach, namespace, name, Version::of(&object))
                    }
                });
                Taken::To(version)
            }
            WatchEvent::Deleted(object) => {
                self.shared.eyes.gone(&object);
                let (namespace, name) = place(&object);
                let version = Version::of(&object);
                self.shared
                    .take(|index| index.gone(&self.name, reach, namespace, name, version));
                Taken::To(version_text(&object))
            }
            WatchEvent::Bookmark(bookmark) => {
                let version = bookmark.metadata.resource_version;
                self.shared
                    .with(|index| index.progressed(&self.name, reach, Version::parse(&version)));
                Taken::To(version)
            }
            WatchEvent::Error(status)
                if status.code == 410 || status.reason == "Expired" || status.reason == "Gone" =>
            {
                Taken::Expired
            }
            WatchEvent::Error(status) => {
                tracing::debug!(kind = %self.name, reason = status.reason, "a watch told of an error");
                Taken::Nothing
            }
        }
    }

    /// Lists the reach page by page; the answer is where the watch has to begin.
    async fn list(&self, reach: &Reach) -> Result<String, Trouble> {
        let mut params = ListParams::default().limit(PAGE);
        let (run, homes) = self
            .shared
            .with(|index| (index.begin_list(&self.name, reach.clone()), index.homes()));
        loop {
            let text = self.page(reach, &params, Parts::All).await?;
            let page = read_page(&text, |mut object: Value| {
                self.shared.eyes.seen(&object);
                if let Some(seen) = observe(&homes, &self.info, &mut object) {
                    self.shared.take(|index| index.listed(&self.name, &run, seen));
                }
            });
            let page = page.map_err(|cause| Trouble::other(format!("the list cannot be read: {cause}")))?;
            drop(text);
            if page.next.is_empty() {
                let version = Version::parse(&page.resource_version);
                self.shared.take(|index| index.end_list(&self.name, run, version));
                return Ok(page.resource_version);
            }
            params.continue_token = Some(page.next);
        }
    }

    /// Lists what the environments have that came after the list.
    async fn fill_in(&self) {
        let homes = self.shared.with(|index| index.uncovered(&self.name));
        if homes.is_empty() {
            // One that was removed may have been what the others waited for.
            return self.shared.coverage_changed();
        }
        let reaches: Vec<Reach> = match self.info.scope {
            Scope::Namespaced => homes
                .iter()
                .map(|home| Reach::Namespace(home.namespace.clone()))
                .collect(),
            Scope::Cluster => vec![Reach::Cluster],
        };
        for reach in reaches {
            if let Err(Trouble::Other { text, .. }) = self.list(&reach).await {
                tracing::debug!(kind = %self.name, text, "a new environment cannot be listed; it is tried again");
                sleep(LIST_AT_MOST_EVERY).await;
                self.wake.notify_one();
            }
        }
        self.shared.coverage_changed();
    }

    fn request(&self, reach: &Reach) -> Request {
        let namespace = match reach {
            Reach::Cluster => None,
            Reach::Namespace(namespace) => Some(&**namespace),
        };
        Request::new(DynamicObject::url_path(&self.info.resource, namespace))
    }

    /// One page of a list, as text.
    pub async fn page(&self, reach: &Reach, params: &ListParams, parts: Parts) -> Result<String, Trouble> {
        let request = self.request(reach);
        let request = match parts {
            Parts::All => request.list(params),
            Parts::Metadata => request.list_metadata(params),
        };
        let request = request.map_err(|cause| Trouble::other(cause.to_string()))?;
        match timeout(PAGE_DEADLINE, self.shared.client.request_text(request)).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(cause)) => Err(Trouble::of(cause)),
            Err(_) => Err(Trouble::other("the API server did not answer in time")),
        }
    }
}

/// What of each object is asked for.
pub(super) enum Parts {
    All,
    Metadata,
}

async fn checked(checking: &mut Option<BoxFuture<'_, usize>>) -> Option<usize> {
    match checking {
        Some(checking) => Some(checking.await),
        None => None,
    }
}

enum Taken {
    To(String),
    Nothing,
    Expired,
}

fn version_text(object: &Value) -> String {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn place(object: &Value) -> (&str, &str) {
    let metadata = &object["metadata"];
    (
        metadata["namespace"].as_str().unwrap_or_default(),
        metadata["name"].as_str().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests;
