//! The object that stands for the environment as an ApplySet (KEP-3659): a Secret that names the kinds of its members,
//! so that `kubectl` and a restarted agent know where to look for what was applied.
//!
//! It is extended before something of a new kind is applied and shortened after the last of a kind is deleted: a crash
//! in between leaves a kind too many in it, and never one too few.

use std::collections::BTreeSet;

use c7n_manifests::labels;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::timeout;

use super::apply::CALL_DEADLINE;
use crate::cluster::KindName;
use crate::state::{APPLYSET_PARENT, applyset_of};

const TOOLING: &str = concat!("c7n-agent/", env!("CARGO_PKG_VERSION"));

/// What the parent says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    kinds: BTreeSet<KindName>,
    present: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    #[error(
        "the Secret {APPLYSET_PARENT} in the namespace belongs to another tool ({0}); delete it, or use another namespace"
    )]
    Foreign(String),
    #[error("the inventory of the environment (Secret {APPLYSET_PARENT}) cannot be {asked}: {text}")]
    Refused { asked: &'static str, text: String },
    #[error("the API server did not answer in time while the inventory of the environment was {asked}")]
    Timeout { asked: &'static str },
}

impl Inventory {
    pub fn kinds(&self) -> &BTreeSet<KindName> {
        &self.kinds
    }

    pub async fn load(client: &Client, namespace: &str) -> Result<Self, InventoryError> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let asked = "read";
        let parent = match timeout(CALL_DEADLINE, secrets.get_metadata_opt(APPLYSET_PARENT)).await {
            Ok(Ok(Some(parent))) => parent.metadata,
            Ok(Ok(None)) => return Ok(Self::default()),
            Ok(Err(cause)) => return Err(refused(asked, &cause)),
            Err(_) => return Err(InventoryError::Timeout { asked }),
        };
        let annotations = parent.annotations.unwrap_or_default();
        let annotation = |key: &str| annotations.get(key).map(String::as_str).unwrap_or_default();
        let tooling = annotation(labels::APPLYSET_TOOLING);
        if !tooling.is_empty() && !tooling.starts_with("c7n-agent/") {
            return Err(InventoryError::Foreign(tooling.to_owned()));
        }
        Ok(Self {
            kinds: read_kinds(annotation(labels::APPLYSET_GROUP_KINDS)),
            present: true,
        })
    }

    /// Somebody has deleted the parent.
    pub fn lost(&mut self) {
        self.present = false;
    }

    /// These kinds are about to be applied.
    pub async fn extend(
        &mut self,
        client: &Client,
        namespace: &str,
        kinds: impl IntoIterator<Item = KindName>,
    ) -> Result<(), InventoryError> {
        let mut all = self.kinds.clone();
        all.extend(kinds);
        if self.present && all == self.kinds {
            return Ok(());
        }
        self.write(client, namespace, all).await
    }

    /// Of these kinds there is something; of others there is nothing any more.
    pub async fn shorten(
        &mut self,
        client: &Client,
        namespace: &str,
        kinds: BTreeSet<KindName>,
    ) -> Result<(), InventoryError> {
        if !self.present || kinds == self.kinds {
            return Ok(());
        }
        self.write(client, namespace, kinds).await
    }

    async fn write(
        &mut self,
        client: &Client,
        namespace: &str,
        kinds: BTreeSet<KindName>,
    ) -> Result<(), InventoryError> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let asked = "written";
        let mut names: Vec<String> = kinds.iter().map(ToString::to_string).collect();
        names.sort();
        let parent = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": APPLYSET_PARENT,
                "namespace": namespace,
                "labels": { labels::APPLYSET_ID: applyset_of(namespace) },
                "annotations": {
                    labels::APPLYSET_TOOLING: TOOLING,
                    labels::APPLYSET_GROUP_KINDS: names.join(","),
                },
            },
        });
        // The object is the agent's alone, and so are its fields.
        let params = PatchParams::apply(labels::FIELD_MANAGER).force();
        match timeout(
            CALL_DEADLINE,
            secrets.patch_metadata(APPLYSET_PARENT, &params, &Patch::Apply(&parent)),
        )
        .await
        {
            Ok(Ok(_)) => {
                *self = Self { kinds, present: true };
                Ok(())
            }
            Ok(Err(cause)) => Err(refused(asked, &cause)),
            Err(_) => Err(InventoryError::Timeout { asked }),
        }
    }
}

/// The Secret has no values, so that what is said of it quotes none.
fn refused(asked: &'static str, cause: &kube::Error) -> InventoryError {
    let text = match cause {
        kube::Error::Api(status) => status.message.clone(),
        _ => "the API server cannot be reached".to_owned(),
    };
    InventoryError::Refused { asked, text }
}

/// `Deployment.apps,Secret`. What is no kind is passed over.
fn read_kinds(text: &str) -> BTreeSet<KindName> {
    text.split(',')
        .filter_map(|kind| kind.trim().parse::<c7n_manifests::GroupKind>().ok())
        .map(|kind| KindName::new(kind.group, kind.kind))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_written() {
        let kinds: BTreeSet<KindName> = [
            KindName::new("", "Secret"),
            KindName::new("apps", "Deployment"),
            KindName::new("a.b.io", "Foo"),
        ]
        .into();
        let text = kinds
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",");
        assert_eq!(read_kinds(&text), kinds);
        assert_eq!(read_kinds(""), BTreeSet::new());
    }
}
