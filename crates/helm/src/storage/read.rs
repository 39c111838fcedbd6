//! Reads revisions from the API server.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::{DecodeError, Revision, RevisionHead, SELECTOR, of_release, secret_name};
use crate::{ReleaseId, ReleaseStatus};

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("the release's records cannot be read from the cluster: {0}")]
    Cluster(#[source] Box<kube::Error>),
    #[error("{name}: {source}")]
    Record { name: String, source: DecodeError },
}

/// The releases of a cluster, as Helm recorded them.
#[derive(Clone)]
pub struct ReleaseStore {
    client: Client,
}

impl ReleaseStore {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// All revisions of a release, oldest first, without their contents.
    pub async fn heads(&self, id: &ReleaseId) -> Result<Vec<RevisionHead>, StoreError> {
        let selector = of_release(id);
        self.list_heads(&id.namespace, &selector).await
    }

    /// All revisions of all releases of a namespace, by name and revision, without their contents.
    pub async fn heads_in(&self, namespace: &str) -> Result<Vec<RevisionHead>, StoreError> {
        self.list_heads(namespace, SELECTOR).await
    }

    async fn list_heads(&self, namespace: &str, selector: &str) -> Result<Vec<RevisionHead>, StoreError> {
        let secrets = self
            .secrets(namespace)
            .list_metadata(&ListParams::default().labels(selector))
            .await
            .map_err(|error| StoreError::Cluster(Box::new(error)))?;
        let mut heads: Vec<_> = secrets
            .items
            .iter()
            .filter_map(|secret| RevisionHead::of(&secret.metadata))
            .collect();
        heads.sort_by(|one, other| (&one.id, one.revision).cmp(&(&other.id, other.revision)));
        Ok(heads)
    }

    /// One revision with its contents; `None` if Helm does not keep it.
    pub async fn revision(&self, id: &ReleaseId, revision: u32) -> Result<Option<Revision>, StoreError> {
        let found = self
            .secrets(&id.namespace)
            .get_opt(&secret_name(id, revision))
            .await
            .map_err(|error| StoreError::Cluster(Box::new(error)))?;
        found.as_ref().map(read).transpose()
    }

    /// The revision that the cluster's objects are of, with its contents.
    pub async fn deployed(&self, id: &ReleaseId) -> Result<Option<Revision>, StoreError> {
        let deployed = self
            .heads(id)
            .await?
            .into_iter()
            .rfind(|head| head.status == ReleaseStatus::Deployed);
        match deployed {
            Some(head) => self.revision(id, head.revision).await,
            None => Ok(None),
        }
    }

    /// All revisions of a release with their contents, oldest first.
    pub async fn history(&self, id: &ReleaseId) -> Result<Vec<Revision>, StoreError> {
        let selector = of_release(id);
        let secrets = self
            .secrets(&id.namespace)
            .list(&ListParams::default().labels(&selector))
            .await
            .map_err(|error| StoreError::Cluster(Box::new(error)))?;
        let mut revisions = secrets.items.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        revisions.sort_by_key(|revision| revision.head.revision);
        Ok(revisions)
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

fn read(secret: &Secret) -> Result<Revision, StoreError> {
    Revision::decode(secret).map_err(|source| StoreError::Record {
        name: secret.name_any(),
        source,
    })
}
