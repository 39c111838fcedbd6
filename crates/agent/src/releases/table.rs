//! What the watches have shown: the objects, and the revisions in Helm's storage; and whose turn it is. Pure but for a
//! lock and a bell.
//!
//! The table may be behind the cluster. That is enough to know that nothing is to be done; before anything is done, the
//! cluster is asked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use c7n_helm::ReleaseId;
use kube::core::{DynamicObject, ObjectMeta};
use tokio::sync::Notify;

use super::history::{self, History, Revision};
use super::release::Release;

/// What one watch sees: the whole cluster, or one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reach {
    Cluster,
    Namespace(String),
}

impl Reach {
    fn covers(&self, namespace: &str) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespace(own) => own == namespace,
        }
    }
}

#[derive(Default)]
pub struct Table {
    inner: Mutex<Inner>,
    /// Rings when somebody's turn has come.
    bell: Notify,
}

#[derive(Default)]
struct Inner {
    objects: HashMap<ReleaseId, Release>,
    histories: HashMap<ReleaseId, History>,
    /// Whose state may have changed.
    due: HashSet<ReleaseId>,
    /// Both kinds are listed: before that, an absence means nothing.
    objects_listed: HashSet<Reach>,
    histories_listed: HashSet<Reach>,
}

/// What is known of one release.
#[derive(Clone)]
pub struct Known {
    pub release: Option<Release>,
    pub history: History,
}

impl Table {
    /// Waits until somebody's turn has come.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    pub fn take_due(&self) -> HashSet<ReleaseId> {
        self.locked(|inner| std::mem::take(&mut inner.due))
    }

    pub fn make_due(&self, id: ReleaseId) {
        self.locked(|inner| inner.due.insert(id));
        self.bell.notify_one();
    }

    /// Everybody's turn: the environments have changed.
    pub fn make_all_due(&self) {
        self.locked(|inner| {
            let all: Vec<ReleaseId> = inner.objects.keys().cloned().collect();
            inner.due.extend(all);
        });
        self.bell.notify_one();
    }

    /// `None` until both kinds have been listed where the release is.
    pub fn known(&self, id: &ReleaseId) -> Option<Known> {
        self.locked(|inner| {
            let listed = |reaches: &HashSet<Reach>| reaches.iter().any(|reach| reach.covers(&id.namespace));
            let complete = listed(&inner.objects_listed) && listed(&inner.histories_listed);
            complete.then(|| Known {
                release: inner.objects.get(id).cloned(),
                history: inner.histories.get(id).cloned().unwrap_or_default(),
            })
        })
    }

    pub fn object_seen(&self, object: &DynamicObject) {
        let Some(release) = Release::read(object) else {
            return;
        };
        let release = release.without_values();
        self.locked(|inner| {
            inner.due.insert(release.id.clone());
            inner.objects.insert(release.id.clone(), release);
        });
        self.bell.notify_one();
    }

    pub fn object_gone(&self, metadata: &ObjectMeta) {
        let Some(id) = id_of(metadata) else { return };
        self.locked(|inner| {
            inner.objects.remove(&id);
            inner.due.insert(id);
        });
        self.bell.notify_one();
    }

    /// The end of a list: what it did not show is gone.
    pub fn objects_listed(&self, reach: &Reach, shown: &HashSet<ReleaseId>) {
        self.locked(|inner| {
            let gone: Vec<ReleaseId> = inner
                .objects
                .keys()
                .filter(|id| reach.covers(&id.namespace) && !shown.contains(id))
                .cloned()
                .collect();
            for id in gone {
                inner.objects.remove(&id);
                inner.due.insert(id);
            }
            if inner.objects_listed.insert(reach.clone()) {
                let all: Vec<ReleaseId> = inner.objects.keys().cloned().collect();
                inner.due.extend(all);
            }
        });
        self.bell.notify_one();
    }

    pub fn secret_seen(&self, metadata: &ObjectMeta) {
        let Some((id, revision)) = history::read(metadata) else {
            return;
        };
        let rings = self.locked(|inner| {
            let history = inner.histories.entry(id.clone()).or_default();
            let news = history.get(&revision.number) != Some(&revision);
            history.insert(revision.number, revision);
            news && inner.objects.contains_key(&id) && inner.due.insert(id)
        });
        if rings {
            self.bell.notify_one();
        }
    }

    pub fn secret_gone(&self, metadata: &ObjectMeta) {
        let Some((id, revision)) = history::read(metadata) else {
            return;
        };
        self.locked(|inner| {
            if let Some(history) = inner.histories.get_mut(&id) {
                history.remove(&revision.number);
                if history.is_empty() {
                    inner.histories.remove(&id);
                }
            }
            if inner.objects.contains_key(&id) {
                inner.due.insert(id);
            }
        });
        self.bell.notify_one();
    }

    pub fn secrets_listed(&self, reach: &Reach, shown: &HashSet<(ReleaseId, u32)>) {
        self.locked(|inner| {
            let mut changed = Vec::new();
            for (id, history) in &mut inner.histories {
                if !reach.covers(&id.namespace) {
                    continue;
                }
                let before = history.len();
                history.retain(|number, _| shown.contains(&(id.clone(), *number)));
                if history.len() < before {
                    changed.push(id.clone());
                }
            }
            inner.histories.retain(|_, history| !history.is_empty());
            changed.retain(|id| inner.objects.contains_key(id));
            inner.due.extend(changed);
            if inner.histories_listed.insert(reach.clone()) {
                let all: Vec<ReleaseId> = inner.objects.keys().cloned().collect();
                inner.due.extend(all);
            }
        });
        self.bell.notify_one();
    }

    /// What was asked of the cluster just now is newer than what the watch has shown.
    pub fn history_asked(&self, id: &ReleaseId, history: &History) {
        self.locked(|inner| {
            if history.is_empty() {
                inner.histories.remove(id);
            } else {
                inner.histories.insert(id.clone(), history.clone());
            }
        });
    }

    /// Nothing is seen there any more.
    pub fn reach_lost(&self, reach: &Reach) {
        self.locked(|inner| {
            inner.objects_listed.remove(reach);
            inner.histories_listed.remove(reach);
            if let Reach::Namespace(namespace) = reach {
                inner.objects.retain(|id, _| id.namespace != *namespace);
                inner.histories.retain(|id, _| id.namespace != *namespace);
            }
        });
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        // No work under this lock can leave it half-changed; a list repairs whatever a panic left.
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub fn id_of(metadata: &ObjectMeta) -> Option<ReleaseId> {
    Some(ReleaseId::new(
        metadata.namespace.clone()?,
        metadata.name.clone()?,
    ))
}

/// The revisions among these Secrets that are of one release.
pub fn history_in<'a>(secrets: impl Iterator<Item = &'a ObjectMeta>, id: &ReleaseId) -> History {
    let found: BTreeMap<u32, Revision> = secrets
        .filter_map(history::read)
        .filter(|(of, _)| of == id)
        .map(|(_, revision)| (revision.number, revision))
        .collect();
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "choerodon.io/v1alpha1", "kind": "C7NHelmRelease",
            "metadata": { "namespace": "shop", "name": name },
        }))
        .unwrap()
    }

    fn secret(name: &str, version: u32) -> ObjectMeta {
        serde_json::from_value(json!({
            "namespace": "shop", "name": format!("sh.helm.release.v1.{name}.v{version}"),
            "labels": { "owner": "helm", "name": name, "version": version.to_string(), "status": "deployed" },
        }))
        .unwrap()
    }

    fn web() -> ReleaseId {
        ReleaseId::new("shop", "web")
    }

    #[test]
    fn nothing_is_known_before_both_kinds_are_listed() {
        let table = Table::default();
        table.object_seen(&object("web"));
        table.objects_listed(&Reach::Cluster, &HashSet::from([web()]));
        assert!(
            table.known(&web()).is_none(),
            "an install would follow from a list that is not there yet"
        );

        table.take_due();
        table.secret_seen(&secret("web", 1));
        table.secrets_listed(&Reach::Cluster, &HashSet::from([(web(), 1)]));
        assert_eq!(table.take_due(), HashSet::from([web()]));
        assert_eq!(table.known(&web()).unwrap().history.len(), 1);
    }

    #[test]
    fn what_a_new_list_does_not_show_is_gone() {
        let table = Table::default();
        table.objects_listed(&Reach::Cluster, &HashSet::new());
        table.secrets_listed(&Reach::Cluster, &HashSet::new());
        table.object_seen(&object("web"));
        table.secret_seen(&secret("web", 1));
        table.secret_seen(&secret("web", 2));

        table.secrets_listed(&Reach::Cluster, &HashSet::from([(web(), 2)]));
        assert_eq!(
            table.known(&web()).unwrap().history.keys().collect::<Vec<_>>(),
            [&2]
        );
        table.objects_listed(&Reach::Cluster, &HashSet::new());
        assert!(table.known(&web()).unwrap().release.is_none());
        assert_eq!(table.take_due(), HashSet::from([web()]));
    }

    #[test]
    fn releases_without_an_object_wake_nobody() {
        let table = Table::default();
        table.secret_seen(&secret("other", 1));
        assert!(table.take_due().is_empty());
    }
}
