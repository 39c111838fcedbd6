//! The two watches: the objects, and the labels of Helm's Secrets. Over the whole cluster where that is permitted, else
//! in each environment's namespace.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use c7n_helm::storage::SELECTOR;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::crd;
use super::history;
use super::table::{Reach, Table, id_of};
use crate::cluster::{Discovery, KindName};
use crate::environments::Directory;

/// Rights can be given later.
const TRY_AGAIN: Duration = Duration::from_secs(300);

pub struct Watches {
    pub client: Client,
    pub discovery: Discovery,
    pub directory: Directory,
    pub table: Arc<Table>,
}

/// Why a watch ended.
enum End {
    Forbidden,
    /// A stream of kube's own never ends; if it does, it is begun again.
    Ended,
}

impl Watches {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let work = async {
            self.until_defined().await;
            loop {
                if let End::Forbidden = self.follow(Reach::Cluster).await {
                    self.table.reach_lost(&Reach::Cluster);
                    tracing::info!(
                        "releases are watched namespace by namespace: this agent may not see those of the whole cluster"
                    );
                    self.by_namespace(Instant::now() + TRY_AGAIN).await;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }

    /// Waits until the API server knows the kind.
    async fn until_defined(&self) {
        let mut kinds = self.discovery.changes();
        let name = KindName::new(crd::GROUP, crd::KIND);
        while kinds
            .borrow_and_update()
            .in_version(&name, crd::VERSION)
            .is_none()
        {
            if kinds.changed().await.is_err() {
                return;
            }
        }
    }

    /// A watch for each environment, until it is time to try the whole cluster again.
    async fn by_namespace(&self, until: Instant) {
        let mut changes = self.directory.changes();
        let mut running: BTreeMap<String, tokio::task::AbortHandle> = BTreeMap::new();
        let mut tasks: JoinSet<()> = JoinSet::new();
        loop {
            let wanted: HashSet<String> = self
                .directory
                .residents()
                .into_iter()
                .map(|resident| resident.namespace)
                .collect();
            running.retain(|namespace, task| {
                let stays = wanted.contains(namespace);
                if !stays {
                    task.abort();
                    self.table.reach_lost(&Reach::Namespace(namespace.clone()));
                }
                stays
            });
            for namespace in wanted {
                running.entry(namespace.clone()).or_insert_with(|| {
                    let watch = Self {
                        client: self.client.clone(),
                        discovery: self.discovery.clone(),
                        directory: self.directory.clone(),
                        table: self.table.clone(),
                    };
                    tasks.spawn(async move {
                        let reach = Reach::Namespace(namespace.clone());
                        while let End::Ended = watch.follow(reach.clone()).await {}
                        tracing::warn!(
                            namespace,
                            "this agent may not see C7NHelmReleases and Secrets here, so that no release is kept; \
                             install its chart with rbac.create=true, or give it these rights"
                        );
                        tokio::time::sleep(TRY_AGAIN).await;
                    })
                });
            }
            tokio::select! {
                Ok(()) = changes.changed() => {}
                Some(_) = tasks.join_next() => running.retain(|_, task| !task.is_finished()),
                () = sleep_until(until) => return,
            }
        }
    }

    async fn follow(&self, reach: Reach) -> End {
        let (objects, secrets) = match &reach {
            Reach::Cluster => (
                Api::<DynamicObject>::all_with(self.client.clone(), &crd::resource()),
                Api::<PartialObjectMeta<Secret>>::all(self.client.clone()),
            ),
            Reach::Namespace(namespace) => (
                Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &crd::resource()),
                Api::<PartialObjectMeta<Secret>>::namespaced(self.client.clone(), namespace),
            ),
        };
        let mut objects = watcher(objects, watcher::Config::default())
            .default_backoff()
            .boxed();
        let mut secrets = watcher(secrets, watcher::Config::default().labels(SELECTOR))
            .default_backoff()
            .boxed();
        let (mut shown, mut stored) = (HashSet::new(), HashSet::new());
        loop {
            tokio::select! {
                event = objects.next() => match event {
                    Some(Ok(event)) => self.object(&reach, &mut shown, event),
                    Some(Err(cause)) if is_forbidden(&cause) => return End::Forbidden,
                    Some(Err(cause)) => tracing::debug!(%cause, "the watch of releases broke and starts again"),
                    None => return End::Ended,
                },
                event = secrets.next() => match event {
                    Some(Ok(event)) => self.secret(&reach, &mut stored, event),
                    Some(Err(cause)) if is_forbidden(&cause) => return End::Forbidden,
                    Some(Err(cause)) => tracing::debug!(%cause, "the watch of Helm's Secrets broke and starts again"),
                    None => return End::Ended,
                },
            }
        }
    }

    fn object(
        &self,
        reach: &Reach,
        shown: &mut HashSet<c7n_helm::ReleaseId>,
        event: watcher::Event<DynamicObject>,
    ) {
        match event {
            watcher::Event::Apply(object) => self.table.object_seen(&object),
            watcher::Event::Delete(object) => self.table.object_gone(&object.metadata),
            watcher::Event::Init => shown.clear(),
            watcher::Event::InitApply(object) => {
                shown.extend(id_of(&object.metadata));
                self.table.object_seen(&object);
            }
            watcher::Event::InitDone => self.table.objects_listed(reach, &std::mem::take(shown)),
        }
    }

    fn secret(
        &self,
        reach: &Reach,
        stored: &mut HashSet<(c7n_helm::ReleaseId, u32)>,
        event: watcher::Event<PartialObjectMeta<Secret>>,
    ) {
        match event {
            watcher::Event::Apply(secret) => self.table.secret_seen(&secret.metadata),
            watcher::Event::Delete(secret) => self.table.secret_gone(&secret.metadata),
            watcher::Event::Init => stored.clear(),
            watcher::Event::InitApply(secret) => {
                stored.extend(history::read(&secret.metadata).map(|(id, it)| (id, it.number)));
                self.table.secret_seen(&secret.metadata);
            }
            watcher::Event::InitDone => self.table.secrets_listed(reach, &std::mem::take(stored)),
        }
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(cause)
    | watcher::Error::WatchStartFailed(cause)
    | watcher::Error::WatchFailed(cause)) = error
    else {
        return matches!(error, watcher::Error::WatchError(status) if status.code == 403);
    };
    matches!(cause, kube::Error::Api(status) if status.code == 403)
}
