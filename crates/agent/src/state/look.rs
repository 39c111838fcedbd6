//! What delivery needs to know of what lives.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use c7n_manifests::{Drift, Lifecycle, Live, ObjectId, Ownership};
use serde_json::Value;

use super::StateIndex;
use super::observe::{Applied, Fields, Home, applyset_of};
use crate::cluster::{KindName, Scope};

/// One object, as far as a plan needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Its drift is not judged yet: the manifest is needed for that, and `fields`.
    pub live: Live,
    pub fields: Fields,
}

/// What the table says.
#[derive(Debug, Default)]
pub struct Known {
    pub sightings: Vec<Sighting>,
    /// Of these kinds every object of the environment's namespace is known; of those of the whole cluster, the
    /// environment's own.
    pub covered: BTreeSet<KindName>,
}

impl StateIndex {
    /// The environment's own objects of all kinds, and those that have a wanted name. An object of no interest is left
    /// out, so that the work grows with the environment and not with what else is in its namespace.
    pub fn look(&self, environment: &str, wanted: &BTreeMap<KindName, HashSet<&str>>) -> Known {
        self.shared.with(|index| {
            let mut known = Known::default();
            let homes = index.homes();
            let Some(home) = homes.by_id.get(environment) else {
                return known;
            };
            for (name, kind) in index.kinds() {
                if !kind.covered.contains(environment) {
                    continue;
                }
                known.covered.insert(name.clone());
                let names = wanted.get(name);
                for (namespace, object, entry) in index.entries_of(home, name) {
                    let ours = entry
                        .applied
                        .as_ref()
                        .is_some_and(|applied| *applied.part_of == *home.applyset);
                    if !ours && names.is_none_or(|names| !names.contains(object)) {
                        continue;
                    }
                    let id = ObjectId {
                        group: name.group.clone(),
                        kind: name.kind.clone(),
                        namespace: (kind.info.scope == Scope::Namespaced).then(|| namespace.to_string()),
                        name: object.to_owned(),
                    };
                    let lifecycle = if entry.deleting {
                        Lifecycle::Deleting
                    } else {
                        Lifecycle::Present
                    };
                    known.sightings.push(of_entry(
                        id,
                        &entry.uid,
                        lifecycle,
                        entry.applied.as_deref(),
                        home,
                    ));
                }
            }
            known
        })
    }

    /// Whether the object is there; `None` if that is not known.
    pub fn exists(&self, environment: &str, name: &KindName, namespace: &str, object: &str) -> Option<bool> {
        self.shared.with(|index| {
            index
                .covers(name, environment)
                .then(|| index.entry(name, namespace, object).is_some())
        })
    }
}

fn of_entry(
    id: ObjectId,
    uid: &str,
    lifecycle: Lifecycle,
    applied: Option<&Applied>,
    home: &Home,
) -> Sighting {
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    Sighting {
        live: Live {
            id,
            uid: uid.to_owned(),
            manifest_digest: applied.and_then(|it| text(&it.manifest_digest)),
            source_file: applied.and_then(|it| text(&it.file)),
            owner: match applied {
                None => Ownership::Unowned,
                Some(applied) if *applied.part_of == *home.applyset => Ownership::Ours,
                Some(applied) => Ownership::Other(applied.part_of.to_string()),
            },
            drift: Drift::InSync,
            lifecycle,
            controller: applied.and_then(|it| text(&it.controller)),
        },
        fields: applied.map_or(Fields::Nothing, |it| it.fields.clone()),
    }
}

/// The same of an object that was asked for.
pub fn sighting(object: &Value, namespace: &str) -> Option<Sighting> {
    let fields = c7n_manifests::owned_fields(object).map_or(Fields::Nothing, |fields| Fields::Unchecked {
        digest: c7n_manifests::owned_fields_digest(fields),
        json: fields.to_string().into(),
    });
    Some(Sighting {
        live: Live::from_object(object, &applyset_of(namespace), Drift::InSync)?,
        fields,
    })
}
