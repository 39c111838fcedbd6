//! What the table answers.

use std::collections::HashMap;
use std::sync::Arc;

use c7n_link::messages::{Digests, KindDetail, ObjectDigest, ObjectKey, ObjectState};
use prost::Message;

use super::{Entry, Index, Kind, deleted};
use crate::cluster::{KindInfo, KindName, Scope};
use crate::state::observe::{Home, Homes};

impl Index {
    pub fn homes(&self) -> Arc<Homes> {
        self.homes.clone()
    }

    pub fn info(&self, name: &KindName) -> Option<&KindInfo> {
        Some(&self.kinds.get(name)?.info)
    }

    pub(in crate::state) fn kinds(&self) -> impl Iterator<Item = (&KindName, &Kind)> {
        self.kinds.iter()
    }

    /// Environments whose objects of this kind are not all known.
    pub fn uncovered(&self, name: &KindName) -> Vec<Arc<Home>> {
        let Some(kind) = self.kinds.get(name) else {
            return Vec::new();
        };
        self.homes
            .by_id
            .values()
            .filter(|home| !kind.covered.contains(&home.environment))
            .cloned()
            .collect()
    }

    pub fn covers(&self, name: &KindName, environment: &str) -> bool {
        self.kinds
            .get(name)
            .is_some_and(|kind| kind.covered.contains(environment))
    }

    /// Everything that can be seen has been seen.
    pub fn is_settled(&self) -> bool {
        let environments = self.homes.by_id.len();
        self.kinds
            .values()
            .all(|kind| kind.forbidden || kind.covered.len() == environments)
    }

    pub fn digests(&self) -> Digests {
        self.digests.message()
    }

    /// All objects of one set, once they are all known. `None` for an environment that is not known here.
    pub fn detail(&self, environment: &str, name: &KindName) -> Option<KindDetail> {
        let home = self.homes.by_id.get(environment)?;
        let mut detail = KindDetail {
            environment_id: environment.to_owned(),
            group: name.group.clone(),
            kind: name.kind.clone(),
            objects: Vec::new(),
        };
        for (namespace, object, entry) in self.entries_of(home, name) {
            detail.objects.push(ObjectDigest {
                namespace: namespace.to_string(),
                name: object.to_string(),
                digest: bytes::Bytes::copy_from_slice(&entry.digest),
            });
        }
        detail.objects.sort_by(|a, b| a.name.cmp(&b.name));
        Some(detail)
    }

    /// The state to tell of one object; one that is not there is told as deleted.
    pub fn object(&self, environment: &str, key: &ObjectKey) -> Option<ObjectState> {
        let home = self.homes.by_id.get(environment)?;
        let name = KindName::new(key.group.clone(), key.kind.clone());
        let entry = self
            .entry(&name, &key.namespace, &key.name)
            .filter(|entry| entry.home == *home);
        match entry {
            // What this table encoded decodes.
            Some(entry) => ObjectState::decode(&*entry.state).ok(),
            None => Some(deleted(environment, key.clone())),
        }
    }

    pub(in crate::state) fn entry(&self, name: &KindName, namespace: &str, object: &str) -> Option<&Entry> {
        self.kinds.get(name)?.objects.get(namespace)?.get(object)
    }

    pub(in crate::state) fn entries_of<'a>(
        &'a self,
        home: &'a Home,
        name: &KindName,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a str, &'a Entry)> {
        let kind = self.kinds.get(name);
        let place = kind.and_then(|kind| {
            let namespace = if kind.info.scope == Scope::Namespaced {
                &*home.namespace
            } else {
                ""
            };
            kind.objects.get_key_value(namespace)
        });
        place
            .into_iter()
            .flat_map(|(namespace, objects)| {
                objects
                    .iter()
                    .map(move |(object, entry)| (namespace, &**object, entry))
            })
            .filter(|(_, _, entry)| entry.home.environment == home.environment)
    }

    /// How many objects are kept.
    pub fn len(&self) -> usize {
        self.kinds
            .values()
            .flat_map(|kind| kind.objects.values())
            .map(HashMap::len)
            .sum()
    }
}
