//! The pods of a stream: as they are now, or by one watch as they come and go.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use c7n_link::messages::{LogTarget, ReadLogs};
use c7n_manifests::labels;
use c7n_stream::{End, EndCode};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::time::{Instant, timeout};

use crate::streams::{CALL, Ground, pod, target, words};

/// A watch that cannot be had for so long is told.
const WITHOUT_WATCH: Duration = Duration::from_secs(60);
const PAGE: u32 = 100;

pub enum Change {
    Seen(Box<Pod>),
    /// By its uid.
    Gone(String),
    /// All that are there now were seen.
    Known,
}

pub struct Pods {
    changes: VecDeque<Change>,
    watch: Option<BoxStream<'static, watcher::Result<watcher::Event<Pod>>>>,
    here: BTreeSet<String>,
    /// Those of a list that is being read.
    listed: BTreeSet<String>,
    trouble_since: Option<Instant>,
}

impl Pods {
    pub async fn open(ground: &Ground, wish: &ReadLogs, follow: bool) -> Result<Self, End> {
        let api: Api<Pod> = Api::namespaced(ground.client.clone(), &ground.namespace);
        let (labels, field) = match &wish.target {
            Some(LogTarget::Pod(name)) => {
                // Also when it is followed: a name that is wrong is told at once.
                let found = pod::find(&ground.client, &ground.namespace, name).await?;
                if !follow {
                    return Ok(Self::of(vec![found], None));
                }
                (None, Some(format!("metadata.name={name}")))
            }
            Some(LogTarget::Release(name)) => (Some(format!("{}={name}", labels::RELEASE)), None),
            Some(LogTarget::Selector(selector)) => (Some(selector.clone()), None),
            None => {
                return Err(End::new(
                    EndCode::ProtocolError,
                    "the platform names no pod whose log is wanted; upgrade the agent",
                ));
            }
        };
        if follow {
            let settings = watcher::Config {
                label_selector: labels.clone(),
                field_selector: field,
                page_size: Some(PAGE),
                ..watcher::Config::default()
            };
            if labels.is_some() {
                // A selector that cannot be read is told; a watch would try it for ever.
                list(&api, labels.as_deref(), Some(1)).await?;
            }
            let watch = watcher(api, settings).default_backoff().boxed();
            return Ok(Self::of(Vec::new(), Some(watch)));
        }
        let found = list(&api, labels.as_deref(), None).await?;
        if found.is_empty() {
            return Err(End::new(
                EndCode::NotFound,
                format!(
                    "no pod in the namespace {} has the labels {}; look at the instance with `c7n instance show`",
                    ground.namespace,
                    labels.unwrap_or_default()
                ),
            ));
        }
        Ok(Self::of(found, None))
    }

    fn of(pods: Vec<Pod>, watch: Option<BoxStream<'static, watcher::Result<watcher::Event<Pod>>>>) -> Self {
        let mut changes: VecDeque<Change> = pods.into_iter().map(|pod| Change::Seen(Box::new(pod))).collect();
        if watch.is_none() {
            changes.push_back(Change::Known);
        }
        Self {
            changes,
            watch,
            here: BTreeSet::new(),
            listed: BTreeSet::new(),
            trouble_since: None,
        }
    }

    /// Safe to drop. Waits for ever when nothing can change any more.
    pub async fn next(&mut self) -> Result<Change, End> {
        loop {
            if let Some(change) = self.changes.pop_front() {
                return Ok(change);
            }
            let Some(watch) = &mut self.watch else {
                return std::future::pending().await;
            };
            match watch.next().await {
                Some(Ok(event)) => {
                    self.trouble_since = None;
                    self.take(event);
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "the watch of a log's pods is made again");
                    let since = *self.trouble_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= WITHOUT_WATCH {
                        return Err(End::new(
                            EndCode::Failed,
                            format!(
                                "the API server cannot be asked which pods there are: {error}; try again"
                            ),
                        ));
                    }
                }
                None => self.watch = None,
            }
        }
    }

    fn take(&mut self, event: watcher::Event<Pod>) {
        match event {
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(pod) => {
                self.listed.insert(target::uid(&pod).to_owned());
                self.seen(pod);
            }
            watcher::Event::InitDone => {
                let gone: Vec<String> = self.here.difference(&self.listed).cloned().collect();
                for uid in gone {
                    self.gone(uid);
                }
                self.changes.push_back(Change::Known);
            }
            watcher::Event::Apply(pod) => self.seen(pod),
            watcher::Event::Delete(pod) => {
                let uid = target::uid(&pod).to_owned();
                // Its last state comes with it.
                self.changes.push_back(Change::Seen(Box::new(pod)));
                self.gone(uid);
            }
        }
    }

    fn seen(&mut self, pod: Pod) {
        self.here.insert(target::uid(&pod).to_owned());
        self.changes.push_back(Change::Seen(Box::new(pod)));
    }

    fn gone(&mut self, uid: String) {
        self.here.remove(&uid);
        self.changes.push_back(Change::Gone(uid));
    }
}

async fn list(api: &Api<Pod>, labels: Option<&str>, limit: Option<u32>) -> Result<Vec<Pod>, End> {
    let what = "the pods of this log";
    let mut found = Vec::new();
    let mut params = ListParams {
        label_selector: labels.map(str::to_owned),
        limit: Some(limit.unwrap_or(PAGE)),
        ..ListParams::default()
    };
    loop {
        let page = match timeout(CALL, api.list(&params)).await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => return Err(words::refused(&error, what)),
            Err(_) => return Err(words::late(what)),
        };
        found.extend(page.items);
        match page.metadata.continue_.filter(|it| !it.is_empty()) {
            Some(token) if limit.is_none() => params.continue_token = Some(token),
            _ => return Ok(found),
        }
    }
}
