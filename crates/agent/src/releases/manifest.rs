//! The objects that a revision is made of, read from Helm's storage.
//!
//! They are what Helm wrote, labels of the post-render step included. They may hold Secrets: nothing of their contents
//! goes into an error or a log.

use std::sync::PoisonError;

use c7n_helm::ReleaseId;
use c7n_helm::storage::{Revision, secret_name};
use c7n_manifests::{Limits, yaml_to_json};
use serde_json::Value;

use super::hand::Hand;
use crate::cluster::{ClusterError, KindName, deadline};

/// Specs whose kinds are known to be watched.
const REMEMBERED: usize = 10_000;

/// An object of a release.
#[derive(Clone, PartialEq)]
pub struct Made {
    pub group: String,
    pub version: String,
    pub kind: String,
    /// The release's.
    pub namespace: String,
    pub name: String,
    pub value: Value,
}

impl Made {
    /// `Deployment/web`, for people and as the key of sizes.
    pub fn title(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{0}")]
    Cluster(#[from] ClusterError),
    #[error("revision {0} is not in Helm's storage any more")]
    Gone(u32),
    #[error("revision {0} in Helm's storage cannot be read")]
    Unreadable(u32),
}

impl Hand {
    /// The objects of one revision, without its hooks.
    pub async fn manifest(&self, id: &ReleaseId, revision: u32) -> Result<Vec<Made>, ManifestError> {
        let secrets = self.secrets(&id.namespace);
        let name = secret_name(id, revision);
        let found = deadline("a revision", secrets.get_opt(&name)).await?;
        let stored = found.ok_or(ManifestError::Gone(revision))?;
        let namespace = id.namespace.clone();
        let read = tokio::task::spawn_blocking(move || {
            let record = Revision::decode(&stored).ok()?;
            objects(&record.manifest, &namespace)
        });
        let made = read
            .await
            .ok()
            .flatten()
            .ok_or(ManifestError::Unreadable(revision))?;
        self.state.watch_kinds_that_live(
            made.iter()
                .map(|it| KindName::new(it.group.clone(), it.kind.clone())),
        );
        Ok(made)
    }

    /// Sees to it that what the revision made is watched, whatever kinds its chart has. Specs that are the same make the same
    /// kinds, so that of a hundred equal releases one is read.
    pub async fn watch_what_was_made(&self, id: &ReleaseId, revision: u32, spec_digest: &str) {
        let is_new = || {
            let mut told = self.told_kinds.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() >= REMEMBERED {
                told.clear();
            }
            told.insert(spec_digest.to_owned())
        };
        if is_new()
            && let Err(error) = self.manifest(id, revision).await
        {
            // The next look for drift reads it too.
            tracing::debug!(release = %id, %error, "the kinds of a revision are not known yet");
        }
    }
}

fn objects(manifest: &str, namespace: &str) -> Option<Vec<Made>> {
    let limits = Limits {
        bytes: 32 << 20,
        ..Limits::default()
    };
    let documents = yaml_to_json("manifest", manifest.as_bytes(), &limits).ok()?;
    let mut all = Vec::new();
    for document in documents {
        if document["kind"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("List"))
            && let Some(items) = document["items"].as_array()
        {
            all.extend(items.iter().filter_map(|item| made(item.clone(), namespace)));
        } else {
            all.extend(made(document, namespace));
        }
    }
    Some(all)
}

/// None for what is in another namespace: Helm was not let there, so somebody else wrote it into the record. Whoever may write
/// Secrets in the namespace can do that, and this agent has the rights of the whole cluster.
fn made(value: Value, namespace: &str) -> Option<Made> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let elsewhere = &value["metadata"]["namespace"];
    if !elsewhere.is_null() && elsewhere != "" && elsewhere != namespace {
        return None;
    }
    let api_version = text(&value["apiVersion"])?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    Some(Made {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: text(&value["kind"])?,
        namespace: namespace.to_owned(),
        name: text(&value["metadata"]["name"])?,
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_lists_of_them_are_read_and_what_is_elsewhere_is_not() {
        let manifest = "---\n# Source: web/templates/a.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n\
                        ---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a, namespace: shop}\n\
                        - {apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: other}}\n";

        let found = objects(manifest, "shop").unwrap();

        let titles: Vec<String> = found.iter().map(Made::title).collect();
        assert_eq!(titles, ["Deployment/web", "ConfigMap/a"]);
        assert_eq!(
            (found[0].group.as_str(), found[0].namespace.as_str()),
            ("apps", "shop")
        );
        assert_eq!(found[1].namespace, "shop");
    }
}
