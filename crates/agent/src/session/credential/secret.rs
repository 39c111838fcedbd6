//! The credential in a Secret that all copies of the agent share.
//!
//! Written with compare-and-swap (resourceVersion): a copy that no longer leads cannot write over what the next one got.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::{CredentialStore, KeepError, Kept};
use crate::cluster::{ClusterError, deadline};

const CONNECT: &str = "connect";
const CLUSTER: &str = "cluster-id";
const CREDENTIAL: &str = "credential";

pub struct SecretStore {
    secrets: Api<Secret>,
    namespace: String,
    name: String,
    /// As of the last load or save; `None` when there was no Secret.
    version: Mutex<Option<String>>,
}

impl SecretStore {
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self {
            secrets: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            version: Mutex::default(),
        }
    }

    fn place(&self) -> String {
        format!("the Secret {}/{} with the credential", self.namespace, self.name)
    }

    fn version(&self) -> Option<String> {
        self.version
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember(&self, version: Option<String>) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = version;
    }

    async fn write(&self, kept: &Kept) -> Result<Secret, ClusterError> {
        let version = self.version();
        let secret = secret(&self.name, version.clone(), kept);
        let params = PostParams::default();
        match version {
            None => deadline("to keep its credential", self.secrets.create(&params, &secret)).await,
            Some(_) => {
                let written = self.secrets.replace(&self.name, &params, &secret);
                deadline("to keep its credential", written).await
            }
        }
    }
}

impl CredentialStore for SecretStore {
    fn load(&self) -> BoxFuture<'_, Result<Option<Kept>, KeepError>> {
        async move {
            let found = deadline("its credential", self.secrets.get_opt(&self.name))
                .await
                .map_err(|error| KeepError::Read {
                    place: self.place(),
                    cause: error.to_string(),
                })?;
            let version = found
                .as_ref()
                .and_then(|secret| secret.metadata.resource_version.clone());
            self.remember(version);
            Ok(found.as_ref().and_then(kept))
        }
        .boxed()
    }

    fn save(&self, new: Kept) -> BoxFuture<'_, Result<(), KeepError>> {
        async move {
            match self.write(&new).await {
                Ok(written) => {
                    self.remember(written.metadata.resource_version);
                    Ok(())
                }
                Err(error) if error.is_status(409) || error.is_status(404) => {
                    Err(KeepError::Conflict { place: self.place() })
                }
                Err(error) => Err(KeepError::Write {
                    place: self.place(),
                    cause: error.to_string(),
                }),
            }
        }
        .boxed()
    }
}

fn secret(name: &str, version: Option<String>, kept: &Kept) -> Secret {
    let entry = |key: &str, value: &str| (key.to_owned(), ByteString(value.as_bytes().to_vec()));
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            resource_version: version,
            labels: Some(BTreeMap::from([(
                "app.kubernetes.io/part-of".to_owned(),
                "c7n".to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        type_: Some("choerodon.io/agent-credential".to_owned()),
        data: Some(BTreeMap::from([
            entry(CONNECT, &kept.connect),
            entry(CLUSTER, &kept.cluster_id),
            entry(CREDENTIAL, &kept.credential),
        ])),
        ..Secret::default()
    }
}

fn kept(secret: &Secret) -> Option<Kept> {
    let data = secret.data.as_ref()?;
    let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
    Some(Kept {
        connect: text(CONNECT)?,
        cluster_id: text(CLUSTER)?,
        credential: text(CREDENTIAL)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_half_a_secret_is_none() {
        let some = Kept {
            connect: "wss://p/agent/".into(),
            cluster_id: "c1".into(),
            credential: "secret".into(),
        };
        let mut written = secret("name", Some("7".into()), &some);
        assert_eq!(written.metadata.resource_version.as_deref(), Some("7"));
        assert!(kept(&written) == Some(some));

        written.data.as_mut().unwrap().remove(CREDENTIAL);
        assert!(kept(&written).is_none());
    }
}
