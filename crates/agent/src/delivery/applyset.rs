//! The object that stands for the environment as an ApplySet (KEP-3659): a Secret that names the kinds of its members,
//! so that `kubectl` and a restarted agent know where to look for what was applied.
//!
//! It is extended before something of a new kind is applied and shortened after the last of a kind is deleted: a crash
//! in between leaves a kind too many in it, and never one too few. It also remembers which deletions wait for a person,
//! from before the first write that could make them look small.

use std::collections::BTreeSet;

use c7n_manifests::{APPLYSET_PARENT, HeldPrune, HeldReason, PrunePolicy, labels};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::timeout;

use super::apply::CALL_DEADLINE;
use crate::cluster::KindName;
use crate::state::applyset_of;

const TOOLING: &str = concat!("c7n-agent/", env!("CARGO_PKG_VERSION"));

/// What the parent says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    kinds: BTreeSet<KindName>,
    question: Option<Question>,
    present: bool,
}

/// Deletions that a person was asked about, and the commit that asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub commit: String,
    pub held: HeldPrune,
}

/// Whether a question waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    Still,
    Answered,
}

/// All annotations of an object together may have 256 KiB.
const LONGEST_QUESTION: usize = 64 << 10;

impl Question {
    /// Where the objects are too many to be named, every deletion is meant.
    fn write(&self) -> String {
        let whole = serde_json::to_string(self).unwrap_or_default();
        if whole.len() <= LONGEST_QUESTION {
            return whole;
        }
        let mut short = self.clone();
        short.held.objects.clear();
        serde_json::to_string(&short).unwrap_or_default()
    }

    /// What cannot be read asks about every deletion: something was held, and nobody can tell what.
    fn read(text: &str) -> Option<Self> {
        let unclear = || Self {
            commit: String::new(),
            held: HeldPrune {
                count: 0,
                total: 0,
                objects: Vec::new(),
                reason: HeldReason::LargeShare {
                    share_percent: PrunePolicy::default().share_percent,
                },
            },
        };
        (!text.is_empty()).then(|| serde_json::from_str(text).unwrap_or_else(|_| unclear()))
    }
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
            question: Question::read(annotation(labels::HELD_DELETIONS)),
            present: true,
        })
    }

    /// What a person was asked and has not answered.
    pub fn question(&self) -> Option<&Question> {
        self.question.as_ref()
    }

    /// Somebody has deleted the parent.
    pub fn lost(&mut self) {
        self.present = false;
    }

    /// These kinds are about to be applied, and this is asked.
    pub async fn extend(
        &mut self,
        client: &Client,
        namespace: &str,
        kinds: impl IntoIterator<Item = KindName>,
        question: Option<Question>,
    ) -> Result<(), InventoryError> {
        let mut all = self.kinds.clone();
        all.extend(kinds);
        if self.question == question && (self.present || all.is_empty()) && all == self.kinds {
            return Ok(());
        }
        self.write(client, namespace, all, question).await
    }

    /// Of these kinds there is something; of others there is nothing any more. What was asked is open still, or it is not.
    pub async fn shorten(
        &mut self,
        client: &Client,
        namespace: &str,
        kinds: BTreeSet<KindName>,
        open: Open,
    ) -> Result<(), InventoryError> {
        let question = self.question.clone().filter(|_| open == Open::Still);
        if !self.present || (kinds == self.kinds && question == self.question) {
            return Ok(());
        }
        self.write(client, namespace, kinds, question).await
    }

    async fn write(
        &mut self,
        client: &Client,
        namespace: &str,
        kinds: BTreeSet<KindName>,
        question: Option<Question>,
    ) -> Result<(), InventoryError> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let asked = "written";
        let mut names: Vec<String> = kinds.iter().map(ToString::to_string).collect();
        names.sort();
        let mut parent = json!({
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
        if let Some(question) = &question {
            parent["metadata"]["annotations"][labels::HELD_DELETIONS] = question.write().into();
        }
        // The object is the agent's alone, and so are its fields.
        let params = PatchParams::apply(labels::FIELD_MANAGER).force();
        match timeout(
            CALL_DEADLINE,
            secrets.patch_metadata(APPLYSET_PARENT, &params, &Patch::Apply(&parent)),
        )
        .await
        {
            Ok(Ok(_)) => {
                *self = Self {
                    kinds,
                    question,
                    present: true,
                };
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
    use c7n_manifests::ObjectId;

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

    #[test]
    fn a_question_is_read_as_it_is_written_and_a_long_one_is_about_everything() {
        let question = |count: usize| Question {
            commit: "c".repeat(40),
            held: HeldPrune {
                count,
                total: count,
                objects: (0..count)
                    .map(|number| ObjectId {
                        group: String::new(),
                        kind: "ConfigMap".into(),
                        namespace: Some("shop".into()),
                        name: format!("object-{number}"),
                    })
                    .collect(),
                reason: HeldReason::NothingWanted,
            },
        };
        assert_eq!(Question::read(&question(3).write()), Some(question(3)));

        let text = question(5000).write();
        assert!(text.len() <= LONGEST_QUESTION);
        let long = Question::read(&text).unwrap();
        assert_eq!((long.held.count, long.held.objects.len()), (5000, 0));

        assert_eq!(Question::read(""), None);
        assert!(Question::read("{").unwrap().held.objects.is_empty(), "everything");
    }
}
