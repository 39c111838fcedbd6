//! What the agent itself does to objects, so that its own deeds are told at once and are not taken for drift.

use std::sync::Arc;

use c7n_manifests::ManifestDigest;

use super::{Effects, How, Index, Reach};
use crate::cluster::KindName;
use crate::state::observe::{Fields, Observed};

impl Index {
    /// The agent is about to write it.
    pub fn writing(&mut self, name: &KindName, namespace: &str, object: &str) {
        if let Some(kind) = self.kinds.get_mut(name) {
            kind.writing.insert((namespace.into(), object.into()));
        }
    }

    /// The answer to a write of the agent's own; `None` if it failed.
    pub fn written(
        &mut self,
        name: &KindName,
        namespace: &str,
        object: &str,
        seen: Option<Observed>,
    ) -> Effects {
        let Some(kind) = self.kinds.get_mut(name) else {
            return Effects::default();
        };
        kind.writing.remove(&(Arc::from(namespace), Box::from(object)));
        let Some(seen) = seen else {
            return Effects::default();
        };
        if let Some(entry) = kind
            .objects
            .get_mut(&seen.namespace)
            .and_then(|objects| objects.get_mut(&seen.name))
            && entry.uid == seen.uid
            && !seen.version.is_newer_than(entry.version)
        {
            // The watch was quicker. What it showed may be more than what was written.
            let mut effects = Effects::default();
            let ours = seen.applied.as_ref().and_then(|applied| applied.fields.digest());
            if let (Some(known), Some(digest)) = (&mut entry.applied, ours)
                && known.fields.digest() == Some(digest)
            {
                known.fields = Fields::Checked { digest };
            } else {
                effects.drifted.insert(entry.home.environment.clone());
            }
            return effects;
        }
        let passed = [Reach::Cluster, Reach::Namespace(seen.namespace.clone())]
            .iter()
            .any(|reach| {
                kind.progress
                    .get(reach)
                    .is_some_and(|it| seen.version.0 != 0 && *it >= seen.version)
            });
        let known = kind
            .objects
            .get(&seen.namespace)
            .is_some_and(|objects| objects.contains_key(&seen.name));
        if passed && !known {
            // It was written, seen, and is gone already.
            return Effects::default();
        }
        self.take_in(name, seen, How::Written)
    }

    /// The agent is deleting it.
    pub fn leaving(&mut self, name: &KindName, namespace: &str, object: &str) {
        let entry = self
            .kinds
            .get_mut(name)
            .and_then(|kind| kind.objects.get_mut(namespace)?.get_mut(object));
        if let Some(entry) = entry {
            entry.leaving = true;
        }
    }

    /// The owned fields were compared with the manifest and cover it.
    pub fn checked(&mut self, name: &KindName, namespace: &str, object: &str, digest: ManifestDigest) {
        let entry = self
            .kinds
            .get_mut(name)
            .and_then(|kind| kind.objects.get_mut(namespace)?.get_mut(object));
        if let Some(applied) = entry.and_then(|entry| entry.applied.as_mut())
            && applied.fields.digest() == Some(digest)
        {
            applied.fields = Fields::Checked { digest };
        }
    }
}
