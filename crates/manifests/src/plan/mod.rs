//! What to write and what to delete so that a cluster becomes what a commit wants. Decides, and does nothing.
//!
//! An object whose live state already matches is not written. What another environment owns is refused. Deletions are the dangerous
//! part and have a file of their own, [`prune`].

mod live;
mod prune;
mod waves;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use live::{Drift, Lifecycle, Live, Ownership};
pub use prune::{HeldPrune, HeldReason, PrunePolicy};
pub use waves::{Wave, wave_of};

use crate::{identity::ObjectId, parse::Object};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// One wave after the other, each in parallel inside. Empty waves are left out.
    pub waves: Vec<Vec<Step>>,
    pub unchanged: usize,
    /// To be deleted after the writes, in this order: the reverse of the waves.
    pub prune: Vec<ObjectId>,
    /// Deletions that wait for a person.
    pub held: Option<HeldPrune>,
    pub refused: Vec<Refused>,
    /// Wanted, but still being deleted: to be created once they are gone.
    pub waiting: Vec<ObjectId>,
}

impl Plan {
    /// How many objects the plan writes.
    pub fn writes(&self) -> usize {
        self.waves.iter().map(Vec::len).sum()
    }

    /// Nothing to write, delete, ask or wait for.
    pub fn is_settled(&self) -> bool {
        self.writes() == 0
            && self.prune.is_empty()
            && self.held.is_none()
            && self.refused.is_empty()
            && self.waiting.is_empty()
    }
}

/// One write by server-side apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Index into the objects the plan was made for.
    pub object: usize,
    pub id: ObjectId,
    pub action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Create,
    /// The manifest, or the file it is in, changed.
    Update,
    /// It is there already and belongs to nobody.
    Adopt,
    /// The manifest is the same, the live object was changed by someone else.
    Repair,
}

/// An object that will not be written although it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Index into the objects the plan was made for.
    pub object: usize,
    pub id: ObjectId,
    pub reason: Refusal,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    #[error(
        "the object belongs to another environment (ApplySet {0}); delete it there, or give this one another name"
    )]
    OwnedByOther(String),
    #[error(
        "the object exists in the cluster and was not made by this environment; cluster-scoped objects are not taken over. \
         Delete it, rename it, or have an administrator label it with `applyset.kubernetes.io/part-of`"
    )]
    ClusterScopedNotOurs,
}

/// `live` are the objects of the environment's ApplySet and those of the same names that are wanted.
pub fn plan(wanted: &[Object], live: &[Live], held_files: &BTreeSet<String>, policy: &PrunePolicy) -> Plan {
    let seen: BTreeMap<&ObjectId, &Live> = live.iter().map(|live| (&live.id, live)).collect();
    let mut plan = Plan::default();
    let mut waves: BTreeMap<Wave, Vec<Step>> = BTreeMap::new();
    for (index, object) in wanted.iter().enumerate() {
        match decide(object, seen.get(&object.id).copied()) {
            Decision::Unchanged => plan.unchanged += 1,
            Decision::Wait => plan.waiting.push(object.id.clone()),
            Decision::Refuse(reason) => {
                plan.refused.push(Refused {
                    object: index,
                    id: object.id.clone(),
                    reason,
                });
            }
            Decision::Write(action) => {
                let step = Step {
                    object: index,
                    id: object.id.clone(),
                    action,
                };
                waves
                    .entry(wave_of(&object.id.group_kind()))
                    .or_default()
                    .push(step);
            }
        }
    }
    plan.waves = waves.into_values().collect();
    for wave in &mut plan.waves {
        wave.sort_by(|a, b| a.id.cmp(&b.id));
    }
    let prunes = prune::decide(wanted, live, held_files, policy);
    plan.prune = prunes.now;
    plan.held = prunes.held;
    plan
}

enum Decision {
    Unchanged,
    Wait,
    Refuse(Refusal),
    Write(Action),
}

fn decide(object: &Object, live: Option<&Live>) -> Decision {
    let Some(live) = live else {
        return Decision::Write(Action::Create);
    };
    match &live.owner {
        Ownership::Other(set) => return Decision::Refuse(Refusal::OwnedByOther(set.clone())),
        Ownership::Unowned if live.id.namespace.is_none() => {
            return Decision::Refuse(Refusal::ClusterScopedNotOurs);
        }
        Ownership::Unowned | Ownership::Ours => {}
    }
    if live.lifecycle == Lifecycle::Deleting {
        return Decision::Wait;
    }
    if live.owner == Ownership::Unowned {
        return Decision::Write(Action::Adopt);
    }
    let same_manifest = live.manifest_digest.as_deref() == Some(object.digest.to_string().as_str());
    // The annotation decides which objects a broken file holds back, so it follows the file.
    let same_file = live.source_file.as_deref() == Some(object.source.file.as_str());
    match live.drift {
        _ if !same_manifest || !same_file => Decision::Write(Action::Update),
        Drift::Drifted => Decision::Write(Action::Repair),
        Drift::InSync => Decision::Unchanged,
    }
}
