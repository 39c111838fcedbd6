//! What to delete, and when to ask first.
//!
//! Deleted is only what this environment made (its ApplySet, our annotations, no controller above it) and no longer wants. What a
//! broken file held stays. A deletion that looks like an accident, a repository emptied or cut by a third, waits for a person.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Lifecycle, Live, Ownership, wave_of};
use crate::{identity::ObjectId, parse::Object};

/// When deletions wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunePolicy {
    /// Held above this share of the live objects of the environment...
    pub share_percent: u8,
    /// ...and from this many objects on.
    pub floor: usize,
    /// What a person agreed to lose, for the commit this plan is for. Whatever goes beyond it is judged anew.
    pub confirmed: Option<BTreeSet<ObjectId>>,
    /// What was held before and not confirmed. It stays held, whatever its share has become: what commits create makes the share of
    /// what they delete smaller from plan to plan, and must not let it slip through.
    pub asked: Option<HeldPrune>,
}

impl Default for PrunePolicy {
    fn default() -> Self {
        Self {
            share_percent: 30,
            floor: 5,
            confirmed: None,
            asked: None,
        }
    }
}

/// Deletions that wait for a confirmation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPrune {
    pub count: usize,
    /// Live objects of the environment.
    pub total: usize,
    /// In the order they would be deleted; hand it back as [`PrunePolicy::confirmed`] to let them go. Empty where they are too many to
    /// be remembered: then every deletion was asked about.
    pub objects: Vec<ObjectId>,
    pub reason: HeldReason,
}

impl HeldPrune {
    /// Whether this deletion is part of the question.
    fn is_about(&self, id: &ObjectId) -> bool {
        self.objects.is_empty() || self.objects.contains(id)
    }

    /// Short name of exactly this question: a confirmation of another one must not count.
    pub fn token(&self) -> String {
        let mut hash = Sha256::new();
        for id in self.objects.iter().collect::<BTreeSet<_>>() {
            hash.update(format!("{id}\n"));
        }
        hash.finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum HeldReason {
    #[error("the repository wants no objects any more; confirm to delete all of them, or restore the files")]
    NothingWanted,
    #[error("more than {share_percent} % of the environment would be deleted; confirm, or restore the files")]
    LargeShare { share_percent: u8 },
    /// A file that vanished beside a new one that cannot be read may have been renamed.
    #[error("their file is gone and may be renamed to one that has errors: {}; correct it, or confirm", .files.join(", "))]
    PossiblyRenamed { files: Vec<String> },
}

pub(super) struct Prunes {
    pub now: Vec<ObjectId>,
    pub held: Option<HeldPrune>,
}

pub(super) fn decide(
    wanted: &[Object],
    live: &[Live],
    held_files: &BTreeSet<String>,
    policy: &PrunePolicy,
) -> Prunes {
    let wanted_ids: BTreeSet<&ObjectId> = wanted.iter().map(|object| &object.id).collect();
    let owned: Vec<&Live> = live.iter().filter(|live| is_ours(live)).collect();
    let mut doomed: Vec<&Live> = owned
        .iter()
        .copied()
        .filter(|live| live.lifecycle == Lifecycle::Present && !wanted_ids.contains(&live.id))
        .filter(|live| {
            live.source_file
                .as_ref()
                .is_none_or(|file| !held_files.contains(file))
        })
        .collect();
    doomed.sort_by(|a, b| {
        let wave = |live: &Live| wave_of(&live.id.group_kind());
        wave(b).cmp(&wave(a)).then_with(|| b.id.cmp(&a.id))
    });
    doomed.dedup_by(|a, b| a.id == b.id);

    let agreed = |live: &Live| {
        policy
            .confirmed
            .as_ref()
            .is_some_and(|agreed| agreed.contains(&live.id))
    };
    let (mut now, open): (Vec<&Live>, Vec<&Live>) = doomed.into_iter().partition(|live| agreed(live));
    let total = owned.len();
    let asked = question(wanted, live, &open, total, held_files, policy);
    let (waiting, free): (Vec<_>, Vec<_>) = open
        .into_iter()
        .partition(|live| asked.as_ref().is_some_and(|(_, ids)| ids.contains(&live.id)));
    now.extend(free);
    let ids = |lives: Vec<&Live>| in_order(lives.into_iter().map(|live| live.id.clone()).collect());
    let held = asked.map(|(reason, _)| {
        let objects = ids(waiting);
        HeldPrune {
            count: objects.len(),
            total,
            objects,
            reason,
        }
    });
    Prunes { now: ids(now), held }
}

/// Which of the open deletions a person is asked about, and why.
fn question<'a>(
    wanted: &[Object],
    live: &[Live],
    open: &[&'a Live],
    total: usize,
    held_files: &BTreeSet<String>,
    policy: &PrunePolicy,
) -> Option<(HeldReason, BTreeSet<&'a ObjectId>)> {
    let all = || open.iter().map(|live| &live.id).collect();
    if open.is_empty() {
        return None;
    }
    if wanted.is_empty() {
        return Some((HeldReason::NothingWanted, all()));
    }
    let share_percent = policy.share_percent;
    if open.len() >= policy.floor && open.len() * 100 > usize::from(share_percent) * total {
        return Some((HeldReason::LargeShare { share_percent }, all()));
    }

    let known: BTreeSet<&str> = wanted.iter().map(|object| object.source.file.as_str()).collect();
    let vanished = |live: &Live| {
        live.source_file
            .as_deref()
            .is_some_and(|file| !known.contains(file))
    };
    let files = unplaced(live, held_files);
    let renamed = |live: &Live| !files.is_empty() && vanished(live);
    let before = policy.asked.as_ref();
    let asked_before = |live: &Live| before.is_some_and(|before| before.is_about(&live.id));
    let reason = match before {
        Some(before) if open.iter().any(|live| asked_before(live)) => before.reason.clone(),
        _ if open.iter().any(|live| renamed(live)) => HeldReason::PossiblyRenamed { files: files.clone() },
        _ => return None,
    };
    let waiting = open
        .iter()
        .filter(|live| asked_before(live) || renamed(live))
        .map(|live| &live.id)
        .collect();
    Some((reason, waiting))
}

/// The reverse of the order of writes.
fn in_order(mut ids: Vec<ObjectId>) -> Vec<ObjectId> {
    ids.sort_by(|a, b| {
        wave_of(&b.group_kind())
            .cmp(&wave_of(&a.group_kind()))
            .then_with(|| b.cmp(a))
    });
    ids
}

/// The label alone does not do: controllers copy labels, and every object we wrote has the annotations too.
fn is_ours(live: &Live) -> bool {
    live.owner == Ownership::Ours && live.controller.is_none() && live.manifest_digest.is_some()
}

/// Held files that no live object comes from.
fn unplaced(live: &[Live], held_files: &BTreeSet<String>) -> Vec<String> {
    let placed: BTreeSet<&str> = live
        .iter()
        .filter_map(|live| live.source_file.as_deref())
        .collect();
    held_files
        .iter()
        .filter(|file| !placed.contains(file.as_str()))
        .cloned()
        .collect()
}
