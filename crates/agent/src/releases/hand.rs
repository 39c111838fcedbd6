//! What the controller works with, and its calls to the API server.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use c7n_charts::Credentials;
use c7n_helm::storage;
use c7n_helm::{HelmEngine, ReleaseId};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::crd::{self, FIELD_MANAGER, FINALIZER};
use super::history::History;
use super::release::Release;
use super::source::ChartSource;
use super::status::Status;
use super::table::{Table, history_in};
use crate::cluster::{ClusterError, Discovery, deadline};
use crate::delivery::TakenBack;
use crate::environments::Directory;
use crate::state::StateIndex;

pub struct Hand {
    pub client: Client,
    pub discovery: Discovery,
    pub directory: Directory,
    pub table: Arc<Table>,
    pub engine: Arc<dyn HelmEngine>,
    pub source: Arc<dyn ChartSource>,
    /// How many Helm operations run at once.
    pub permits: Semaphore,
    /// For keyrings and what else an operation needs on disk.
    pub folder: PathBuf,
    pub began: Instant,
    /// How often objects were put back of late.
    pub taken_back: Mutex<TakenBack>,
    /// Told of the kinds that releases make, so that their objects are watched.
    pub state: StateIndex,
    /// Digests of specs whose kinds are told.
    pub told_kinds: Mutex<HashSet<String>>,
}

/// A Secret that the object names is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("there is no Secret {0} in the namespace; create it, or take {1} out of the spec")]
    Missing(String, &'static str),
    #[error("the Secret {0} cannot be used: {1}")]
    Wrong(String, String),
    #[error("{0}")]
    Cluster(#[from] ClusterError),
}

impl Hand {
    /// Since the controller began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn taken_back(&self) -> MutexGuard<'_, TakenBack> {
        self.taken_back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn objects(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &crd::resource())
    }

    pub fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The object as it is now.
    pub async fn release(&self, id: &ReleaseId) -> Result<Option<Release>, ClusterError> {
        let objects = self.objects(&id.namespace);
        let found = deadline("a release", objects.get_opt(&id.name)).await?;
        Ok(found.as_ref().and_then(Release::read))
    }

    /// What Helm's storage says now.
    pub async fn history(&self, id: &ReleaseId) -> Result<History, ClusterError> {
        let selector = storage::of_release(id);
        let secrets = self.secrets(&id.namespace);
        let wished = ListParams::default().labels(&selector);
        let found = deadline("the history of a release", secrets.list_metadata(&wished)).await?;
        let history = history_in(found.items.iter().map(|item| &item.metadata), id);
        self.table.history_asked(id, &history);
        Ok(history)
    }

    /// Makes the status from `before` into `after`; nothing is sent if they are the same.
    pub async fn write_status(
        &self,
        id: &ReleaseId,
        before: &Status,
        after: &Status,
    ) -> Result<(), ClusterError> {
        let Some(patch) = after.patch_from(before) else {
            return Ok(());
        };
        let objects = self.objects(&id.namespace);
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(&patch);
        match deadline(
            "the status of a release",
            objects.patch_status(&id.name, &params, &patch),
        )
        .await
        {
            // It has gone meanwhile, and nobody asks.
            Err(error) if error.is_status(404) => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    pub async fn add_finalizer(&self, release: &Release) -> Result<(), ClusterError> {
        self.change_finalizers(release, |all| {
            if !all.iter().any(|it| it == FINALIZER) {
                all.push(FINALIZER.to_owned());
            }
        })
        .await
    }

    pub async fn remove_finalizer(&self, release: &Release) -> Result<(), ClusterError> {
        self.change_finalizers(release, |all| all.retain(|it| it != FINALIZER))
            .await
    }

    /// The `resourceVersion` makes it a compare-and-swap: the list as a whole is what a merge patch writes.
    async fn change_finalizers(
        &self,
        release: &Release,
        change: impl FnOnce(&mut Vec<String>),
    ) -> Result<(), ClusterError> {
        let objects = self.objects(&release.id.namespace);
        let name = &release.id.name;
        let Some(found) = deadline("a release", objects.get_metadata_opt(name)).await? else {
            return Ok(());
        };
        if found.metadata.uid.as_deref() != Some(&release.uid) {
            return Ok(());
        }
        let before = found.metadata.finalizers.unwrap_or_default();
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(());
        }
        let patch = json!({ "metadata": {
            "resourceVersion": found.metadata.resource_version,
            "finalizers": after,
        }});
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(&patch);
        match deadline("the finalizer of a release", objects.patch(name, &params, &patch)).await {
            Err(error) if error.is_status(404) => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// The credentials that `spec.repoSecret` names.
    pub async fn credentials(
        &self,
        namespace: &str,
        secret: Option<&str>,
    ) -> Result<Option<Credentials>, SecretError> {
        let Some(name) = secret else { return Ok(None) };
        let keys = self.keys(namespace, name, "repoSecret").await?;
        let data = keys.iter().map(|(key, bytes)| (key.as_str(), bytes.as_slice()));
        let read = Credentials::from_secret(data);
        read.map(Some)
            .map_err(|error| SecretError::Wrong(name.to_owned(), error.to_string()))
    }

    /// The keyring that `spec.provenance.keySecret` names.
    pub async fn keyring(&self, namespace: &str, name: &str) -> Result<Vec<u8>, SecretError> {
        let mut keys = self.keys(namespace, name, "provenance").await?;
        keys.remove("keyring").ok_or_else(|| {
            let words = "it has no key `keyring`; put the public keys there, as `gpg --export` writes them";
            SecretError::Wrong(name.to_owned(), words.to_owned())
        })
    }

    async fn keys(
        &self,
        namespace: &str,
        name: &str,
        field: &'static str,
    ) -> Result<std::collections::BTreeMap<String, Vec<u8>>, SecretError> {
        let secrets = self.secrets(namespace);
        let found = deadline("a Secret", secrets.get_opt(name)).await?;
        let found = found.ok_or_else(|| SecretError::Missing(name.to_owned(), field))?;
        let keys = found.data.unwrap_or_default();
        Ok(keys.into_iter().map(|(key, bytes)| (key, bytes.0)).collect())
    }
}

/// For conditions.
pub fn timestamp() -> String {
    let now = Timestamp::now();
    // To the second, as every time in the API is.
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
