//! What lives in the environments of this cluster, as far as it is kept: a table that takes in what was seen and says
//! what follows from it. Pure.
//!
//! Looks at one object may come in any order, from a watch, a list or an answer to a write of the agent's own; the
//! newest `resourceVersion` counts. What a list shows for the first time is not told object by object: the digests of
//! the sets are, and the platform asks for what it does not have. Every later change is told at once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use c7n_link::digest::{DigestTable, KindKey};
use c7n_link::messages::{ObjectKey, ObjectState, Say};
use c7n_manifests::Trouble;
use prost::Message;
use tokio::sync::Notify;

use self::cause::{Tails, Wish};
use super::events::Events;
use super::observe::{Applied, Fields, Home, Homes, Observed, Version, applyset_of, is_event, is_ours};
use crate::cluster::{KindInfo, KindName};

mod ask;
pub(super) mod cause;
mod own;

/// What follows from a change of the table.
#[derive(Debug, Default, PartialEq)]
pub struct Effects {
    pub says: Vec<Say>,
    /// Environments in which a managed object is not what it was made.
    pub drifted: BTreeSet<Arc<str>>,
    /// Logs that would say why a container crashed.
    pub wishes: Vec<Wish>,
}

impl Effects {
    fn and(&mut self, more: Effects) {
        self.says.extend(more.says);
        self.drifted.extend(more.drifted);
        self.wishes.extend(more.wishes);
    }
}

/// What one list or watch sees.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    Cluster,
    Namespace(Arc<str>),
}

/// A list that is under way.
#[derive(Debug)]
pub struct Run {
    reach: Reach,
    generation: u32,
    environments: Vec<Arc<str>>,
}

#[derive(Default)]
pub struct Index {
    homes: Arc<Homes>,
    kinds: BTreeMap<KindName, Kind>,
    digests: DigestTable,
    tails: Tails,
}

pub(super) struct Kind {
    pub info: KindInfo,
    /// By namespace, which is empty for objects of the whole cluster, and name.
    pub objects: HashMap<Arc<str>, HashMap<Box<str>, Entry>>,
    /// Environments whose objects of this kind are all known.
    pub covered: HashSet<Arc<str>>,
    /// How far the watch of each reach has come.
    progress: BTreeMap<Reach, Version>,
    generation: u32,
    /// Objects that the agent itself is writing: what the watch sees of them is no drift.
    writing: HashSet<(Arc<str>, Box<str>)>,
    events: Option<Events>,
    /// The API server does not let this agent see the kind.
    forbidden: bool,
    /// Wakes who watches the kind, when there is an environment that it does not cover.
    pub wake: Arc<Notify>,
}

pub(super) struct Entry {
    pub home: Arc<Home>,
    pub uid: Box<str>,
    pub version: Version,
    generation: u32,
    pub deleting: bool,
    /// The agent itself has deleted it.
    leaving: bool,
    digest: [u8; 16],
    /// An [`ObjectState`], encoded: the smallest form.
    state: Box<[u8]>,
    pub applied: Option<Box<Applied>>,
    /// Of an object that is not well.
    trouble: Option<Box<Trouble>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Listed(u32),
    Watched,
    Written,
}

impl Index {
    pub fn environment_added(&mut self, environment: &str, namespace: &str) {
        if self
            .homes
            .by_id
            .get(environment)
            .is_some_and(|home| *home.namespace == *namespace)
        {
            return;
        }
        self.environment_removed(environment);
        let environment: Arc<str> = environment.into();
        let applyset = applyset_of(namespace);
        let home = Arc::new(Home {
            environment: environment.clone(),
            namespace: namespace.into(),
            applyset,
        });
        let homes = Arc::make_mut(&mut self.homes);
        homes.by_namespace.insert(home.namespace.clone(), home.clone());
        homes.by_id.insert(environment, home);
        self.kinds.values().for_each(|kind| kind.wake.notify_one());
    }

    /// Forgets without a word: who removed the environment knows.
    pub fn environment_removed(&mut self, environment: &str) {
        let homes = Arc::make_mut(&mut self.homes);
        let Some(home) = homes.by_id.remove(environment) else {
            return;
        };
        if homes
            .by_namespace
            .get(&home.namespace)
            .is_some_and(|other| other.environment == home.environment)
        {
            homes.by_namespace.remove(&home.namespace);
        }
        for kind in self.kinds.values_mut() {
            kind.covered.remove(environment);
            for objects in kind.objects.values_mut() {
                objects.retain(|_, entry| entry.home.environment != home.environment);
            }
            kind.objects.retain(|_, objects| !objects.is_empty());
            kind.wake.notify_one();
        }
        self.digests.forget_environment(environment);
    }

    /// Begins to keep a kind, or takes in that it is served in another version.
    pub fn watch(&mut self, name: &KindName, info: &KindInfo) -> Arc<Notify> {
        let kind = self.kinds.entry(name.clone()).or_insert_with(|| Kind {
            info: info.clone(),
            objects: HashMap::new(),
            covered: HashSet::new(),
            progress: BTreeMap::new(),
            generation: 0,
            writing: HashSet::new(),
            events: is_event(info).then(Events::default),
            forbidden: false,
            wake: Arc::default(),
        });
        kind.info = info.clone();
        kind.forbidden = false;
        kind.wake.clone()
    }

    /// The kind has gone from the cluster, and its objects with it.
    pub fn unwatch(&mut self, name: &KindName) -> Effects {
        let mut effects = Effects::default();
        let Some(kind) = self.kinds.get(name) else {
            return effects;
        };
        let places: Vec<_> = kind
            .objects
            .iter()
            .flat_map(|(namespace, objects)| objects.keys().map(|object| (namespace.clone(), object.clone())))
            .collect();
        for (namespace, object) in places {
            effects.and(self.remove(name, &namespace, &object));
        }
        self.kinds.remove(name);
        effects
    }

    pub fn set_forbidden(&mut self, name: &KindName) {
        if let Some(kind) = self.kinds.get_mut(name) {
            kind.forbidden = true;
        }
    }

    pub fn begin_list(&mut self, name: &KindName, reach: Reach) -> Run {
        let environments = self
            .homes
            .by_id
            .values()
            .filter(|home| match &reach {
                Reach::Cluster => true,
                Reach::Namespace(namespace) => home.namespace == *namespace,
            })
            .map(|home| home.environment.clone())
            .collect();
        let generation = self.kinds.get_mut(name).map_or(0, |kind| {
            kind.generation += 1;
            kind.generation
        });
        Run {
            reach,
            generation,
            environments,
        }
    }

    pub fn listed(&mut self, name: &KindName, run: &Run, seen: Observed) -> Effects {
        self.take_in(name, seen, How::Listed(run.generation))
    }

    /// What the list did not show any more has gone, unless it was made after the list.
    pub fn end_list(&mut self, name: &KindName, run: Run, version: Version) -> Effects {
        let mut effects = Effects::default();
        let Some(kind) = self.kinds.get_mut(name) else {
            return effects;
        };
        let reaches = |home: &Home| match &run.reach {
            Reach::Cluster => true,
            Reach::Namespace(namespace) => home.namespace == *namespace,
        };
        let mut gone = Vec::new();
        for (namespace, objects) in &kind.objects {
            for (object, entry) in objects {
                let newer = entry.version.0 > version.0 && version.0 != 0;
                if entry.generation != run.generation && !newer && reaches(&entry.home) {
                    gone.push((namespace.clone(), object.clone()));
                }
            }
        }
        kind.progress.insert(run.reach, version);
        for (namespace, object) in gone {
            effects.and(self.remove(name, &namespace, &object));
        }
        if let Some(kind) = self.kinds.get_mut(name) {
            let known = run
                .environments
                .into_iter()
                .filter(|it| self.homes.by_id.contains_key(it));
            kind.covered.extend(known);
        }
        effects
    }

    /// The watch showed it.
    pub fn seen(&mut self, name: &KindName, reach: &Reach, seen: Observed) -> Effects {
        self.progressed(name, reach, seen.version);
        self.take_in(name, seen, How::Watched)
    }

    /// The watch showed that it is gone, or belongs to no environment any more.
    pub fn gone(
        &mut self,
        name: &KindName,
        reach: &Reach,
        namespace: &str,
        object: &str,
        version: Version,
    ) -> Effects {
        self.progressed(name, reach, version);
        let known = self
            .kinds
            .get(name)
            .and_then(|kind| kind.objects.get(namespace)?.get(object));
        match known {
            Some(entry) if version.0 == 0 || entry.version <= version => self.remove(name, namespace, object),
            _ => Effects::default(),
        }
    }

    /// How far the watch has come. Older answers to writes are no news then.
    pub fn progressed(&mut self, name: &KindName, reach: &Reach, version: Version) {
        if let Some(kind) = self.kinds.get_mut(name) {
            let known = kind.progress.entry(reach.clone()).or_default();
            *known = version.max(*known);
        }
    }

    fn take_in(&mut self, name: &KindName, mut seen: Observed, how: How) -> Effects {
        let mut effects = Effects::default();
        // Looked at while its environment was being removed.
        if self.homes.by_id.get(&seen.home.environment) != Some(&seen.home) {
            return effects;
        }
        let Some(kind) = self.kinds.get_mut(name) else {
            return effects;
        };
        let generation = match how {
            How::Listed(generation) => generation,
            How::Watched | How::Written => kind.generation,
        };
        let writing = kind
            .writing
            .contains(&(seen.namespace.clone(), seen.name.clone()));
        let known = kind
            .objects
            .get_mut(&seen.namespace)
            .and_then(|objects| objects.get_mut(&seen.name));
        let mut applied = seen.applied.take();
        let mut leaving = false;
        if let Some(entry) = known {
            entry.generation = generation;
            if !seen.version.is_newer_than(entry.version) {
                return effects;
            }
            leaving = entry.leaving && entry.uid == seen.uid;
            if let (Some(now), Some(before)) = (&mut applied, &entry.applied)
                && let Fields::Checked { digest } = before.fields
                && now.fields.digest() == Some(digest)
                && now.manifest_digest == before.manifest_digest
                && entry.uid == seen.uid
            {
                now.fields = Fields::Checked { digest };
            }
            if entry.home.environment != seen.home.environment {
                let moved = (seen.namespace.clone(), seen.name.clone());
                effects.and(self.remove(name, &moved.0, &moved.1));
            } else if how != How::Written
                && !writing
                && !leaving
                && has_drifted(entry.applied.as_deref(), applied.as_deref(), &seen.home)
            {
                effects.drifted.insert(seen.home.environment.clone());
            }
        }
        if how == How::Written
            && let Some(applied) = &mut applied
            && let Some(digest) = applied.fields.digest()
        {
            applied.fields = Fields::Checked { digest };
        }

        self.explain(name, &mut seen, &mut effects);
        let Some(kind) = self.kinds.get_mut(name) else {
            return effects;
        };
        let mut evicted = None;
        let mut subject = None;
        if let (Some(events), Some(event)) = (&mut kind.events, seen.event) {
            evicted = events.insert(&seen.namespace, &event.subject, event.time_ms, &seen.name);
            if evicted.as_ref() == Some(&seen.name) {
                return effects;
            }
            subject = Some(event.subject);
        }
        let entry = Entry {
            home: seen.home.clone(),
            uid: seen.uid,
            version: seen.version,
            generation,
            deleting: seen.deleting,
            leaving,
            digest: seen.digest,
            state: seen.state.encode_to_vec().into(),
            applied,
            trouble: seen.trouble,
        };
        let set = key_of(name, &entry.home);
        let news = kind.covered.contains(&entry.home.environment);
        let (namespace, object, digest) = (seen.namespace, seen.name, seen.digest);
        let before = kind
            .objects
            .entry(namespace.clone())
            .or_default()
            .insert(object.clone(), entry);
        if let Some(before) = &before {
            self.digests.remove(&set, &namespace, &object, &before.digest);
        }
        self.digests.insert(&set, &namespace, &object, &digest);
        if news && before.is_none_or(|before| before.digest != digest) {
            effects.says.push(Say::State(seen.state));
        }
        if let Some(evicted) = evicted {
            effects.and(self.remove(name, &namespace, &evicted));
        }
        if let Some(subject) = subject {
            effects.and(self.explain_anew(&namespace, &subject));
        }
        effects
    }

    fn remove(&mut self, name: &KindName, namespace: &str, object: &str) -> Effects {
        let mut effects = Effects::default();
        let Some(kind) = self.kinds.get_mut(name) else {
            return effects;
        };
        let Some(objects) = kind.objects.get_mut(namespace) else {
            return effects;
        };
        let Some(entry) = objects.remove(object) else {
            return effects;
        };
        if objects.is_empty() {
            kind.objects.remove(namespace);
        }
        let mut subject = None;
        if let Some(events) = &mut kind.events {
            subject = events.subject(namespace, object).map(Box::<str>::from);
            events.remove(namespace, object);
        }
        self.tails.forget(&entry.uid);
        self.digests
            .remove(&key_of(name, &entry.home), namespace, object, &entry.digest);
        if kind.covered.contains(&entry.home.environment) {
            let key = ObjectKey {
                group: name.group.clone(),
                kind: name.kind.clone(),
                namespace: namespace.to_owned(),
                name: object.to_owned(),
            };
            effects
                .says
                .push(Say::State(deleted(&entry.home.environment, key)));
        }
        let ours = entry
            .applied
            .as_ref()
            .is_some_and(|applied| is_ours(applied, &entry.home));
        if ours && !entry.leaving {
            effects.drifted.insert(entry.home.environment.clone());
        }
        if let Some(subject) = subject {
            effects.and(self.explain_anew(&Arc::from(namespace), &subject));
        }
        effects
    }
}

/// Whether a change of an object that the agent did not make takes something from what it had applied.
fn has_drifted(before: Option<&Applied>, now: Option<&Applied>, home: &Home) -> bool {
    let Some(before) = before.filter(|before| is_ours(before, home)) else {
        return false;
    };
    now.filter(|now| is_ours(now, home)).is_none_or(|now| {
        now.fields.digest() != before.fields.digest()
            || now.manifest_digest != before.manifest_digest
            || now.file != before.file
    })
}

fn deleted(environment: &str, key: ObjectKey) -> ObjectState {
    ObjectState {
        environment_id: environment.to_owned(),
        key,
        deleted: true,
        ..ObjectState::default()
    }
}

fn key_of(name: &KindName, home: &Home) -> KindKey {
    KindKey {
        environment_id: home.environment.to_string(),
        group: name.group.clone(),
        kind: name.kind.clone(),
    }
}

#[cfg(test)]
mod tests;
