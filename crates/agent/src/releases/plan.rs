//! What is next for one release: from what is wanted, what Helm's storage says and what was written down. Pure.
//!
//! One step at a time: after each the world is looked at again, so that a kill at any moment leaves nothing that the
//! next look does not mend. A release that is as it is wanted costs nothing: [`Step::Settled`].

use std::time::Duration;

use c7n_helm::{ReleaseStatus, SpecDigest};

use super::history::{History, Revision};
use super::memory::Memory;
use super::spec::{DriftPolicy, OnDelete, OnFailure, Running, Wish};
use super::status::{Phase, Recorded};

/// How long somebody else's operation is left alone. Longer than `helm --wait` takes by default.
pub const FOREIGN_PATIENCE: Duration = Duration::from_secs(600);

/// Whether the object is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    No,
    Asked,
    /// Its namespace or environment goes, and has waited long enough: what Helm would leave goes with the namespace.
    GivenUp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finalizer {
    Present,
    Absent,
}

/// Everything that a decision is made from.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// `None`: the object cannot be read, which does not keep it from being deleted.
    pub wish: Option<&'a Wish>,
    pub deletion: Deletion,
    pub finalizer: Finalizer,
    pub history: &'a History,
    pub recorded: &'a Recorded,
    pub memory: &'a Memory,
    /// Since the controller began.
    pub now: Duration,
    /// Wall clock, to be compared with times in the cluster; may jump.
    pub now_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Not wanted and not ours to care for.
    Nothing,
    /// As it is wanted.
    Settled,
    /// Not as it is wanted, and only a person can change that.
    Held(Hold),
    /// Nothing before this time; a change of the object comes first.
    Wait {
        until: Duration,
        why: Pause,
    },
    AddFinalizer,
    RemoveFinalizer,
    Install,
    Upgrade(Cause),
    RollBack {
        revision: u32,
    },
    /// A killed process left it pending.
    Recover,
    Stop,
    Start,
    CheckDrift,
    Uninstall(OnDelete),
}

/// Why an upgrade is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Changed,
    /// Plain `helm` made the release.
    Adoption,
    /// The same again, after it failed.
    Again,
    /// Somebody made a revision by hand.
    ByHand,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// A person cancelled it.
    Cancelled,
    /// It failed, and what was before is back.
    RolledBack { to: u32 },
    /// Somebody made a revision by hand, which is only to be told.
    ByHand { revision: u32 },
    /// The object itself is wrong.
    Invalid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// It failed and is tried again.
    Failed,
    /// Another process works on the release.
    Foreign { revision: u32 },
}

pub fn next(view: View<'_>) -> Step {
    match view.deletion {
        Deletion::No => wanted(view),
        Deletion::Asked | Deletion::GivenUp => unwanted(view),
    }
}

fn unwanted(view: View<'_>) -> Step {
    if view.finalizer == Finalizer::Absent {
        return Step::Nothing;
    }
    let on_delete = view.wish.map_or(OnDelete::ForgetHistory, |wish| wish.on_delete);
    let Some(last) = newest(view.history) else {
        return Step::RemoveFinalizer;
    };
    if view.deletion == Deletion::GivenUp
        || (last.status == ReleaseStatus::Uninstalled && on_delete == OnDelete::KeepHistory)
    {
        return Step::RemoveFinalizer;
    }
    if let Some(until) = view.memory.uninstall_waits(view.now) {
        return Step::Wait {
            until,
            why: Pause::Failed,
        };
    }
    if last.status.is_pending() {
        return Step::Recover;
    }
    Step::Uninstall(on_delete)
}

fn wanted(view: View<'_>) -> Step {
    let Some(wish) = view.wish else {
        return Step::Held(Hold::Invalid);
    };
    if view.finalizer == Finalizer::Absent {
        return Step::AddFinalizer;
    }
    let Some(last) = newest(view.history) else {
        return attempt(view, wish, Step::Install);
    };
    if last.status.is_pending() {
        return pending(view, last);
    }
    match last.status {
        ReleaseStatus::Uninstalled => attempt(view, wish, Step::Install),
        ReleaseStatus::Deployed => deployed(view, wish, last),
        _ => failed(view, wish),
    }
}

/// This controller writes down that it begins before it begins; what is pending without that is somebody else's.
fn pending(view: View<'_>, last: &Revision) -> Step {
    if view.recorded.phase.is_some_and(Phase::is_work) {
        return Step::Recover;
    }
    let patience = i64::try_from(FOREIGN_PATIENCE.as_millis()).unwrap_or(i64::MAX);
    let left = last
        .made_ms
        .saturating_add(patience)
        .saturating_sub(view.now_ms)
        .clamp(0, patience);
    if left == 0 {
        return Step::Recover;
    }
    Step::Wait {
        until: view.now + Duration::from_millis(left.unsigned_abs()),
        why: Pause::Foreign {
            revision: last.number,
        },
    }
}

fn deployed(view: View<'_>, wish: &Wish, last: &Revision) -> Step {
    // Labels are inherited by what `helm upgrade` and `helm rollback` make: the number tells whose a revision is.
    let recorded = view.recorded.revision.filter(|number| *number != last.number);
    if let Some(ours) = recorded.filter(|_| !view.recorded.phase.is_some_and(Phase::is_work)) {
        if wish.drift == DriftPolicy::Report && view.recorded.digest.as_ref() == Some(&wish.digest) {
            return Step::Held(Hold::ByHand {
                revision: last.number,
            });
        }
        let back = view
            .history
            .get(&ours)
            .filter(|it| it.was_good() && it.digest.as_ref() == Some(&wish.digest));
        let step = back.map_or(Step::Upgrade(Cause::ByHand), |back| Step::RollBack {
            revision: back.number,
        });
        return attempt(view, wish, step);
    }
    match &last.digest {
        Some(digest) if *digest == wish.digest => settled(view, wish),
        None => attempt(view, wish, Step::Upgrade(Cause::Adoption)),
        Some(_) => attempt(view, wish, back_or(view.history, &wish.digest, Cause::Changed)),
    }
}

fn failed(view: View<'_>, wish: &Wish) -> Step {
    if !view.history.values().any(Revision::was_good) {
        return attempt(view, wish, Step::Install);
    }
    let again = newest(view.history).is_some_and(|last| last.digest.as_ref() == Some(&wish.digest));
    let cause = if again { Cause::Again } else { Cause::Changed };
    attempt(view, wish, back_or(view.history, &wish.digest, cause))
}

/// Back to the revision that was made of this, if there is one. The oldest: later ones may have inherited its label.
fn back_or(history: &History, digest: &SpecDigest, cause: Cause) -> Step {
    let mut good = history
        .values()
        .filter(|it| it.was_good() && it.digest.as_ref() == Some(digest));
    let oldest = good.next();
    let standing = good.find(|it| it.status == ReleaseStatus::Deployed);
    standing
        .or(oldest)
        .map_or(Step::Upgrade(cause), |back| Step::RollBack {
            revision: back.number,
        })
}

/// Something that may fail, unless it has just failed or a person has said no.
fn attempt(view: View<'_>, wish: &Wish, step: Step) -> Step {
    if view.memory.is_retry_ordered() {
        return step;
    }
    if view.recorded.cancelled {
        return Step::Held(Hold::Cancelled);
    }
    if let Some(to) = rolled_back(view.history, wish) {
        return Step::Held(Hold::RolledBack { to });
    }
    match view.memory.waits(&wish.attempt(), view.now) {
        Some(until) => Step::Wait {
            until,
            why: Pause::Failed,
        },
        None => step,
    }
}

/// The revision that came back after this had failed.
fn rolled_back(history: &History, wish: &Wish) -> Option<u32> {
    let last = newest(history)?;
    let tried = history
        .values()
        .rev()
        .find(|it| it.digest.as_ref() == Some(&wish.digest))?;
    let came_back = wish.on_failure == OnFailure::RollBack
        && last.status == ReleaseStatus::Deployed
        && tried.status == ReleaseStatus::Failed;
    came_back.then_some(last.number)
}

fn settled(view: View<'_>, wish: &Wish) -> Step {
    let (phase, sized) = (view.recorded.phase, view.recorded.stopped);
    let step = match wish.running {
        Running::Stopped if phase == Some(Phase::Stopped) && sized && !view.memory.is_drift_suspected() => {
            return Step::Settled;
        }
        Running::Stopped => Step::Stop,
        Running::Started if sized || phase.is_some_and(Phase::is_about_size) => Step::Start,
        Running::Started if view.memory.is_drift_suspected() => Step::CheckDrift,
        Running::Started => return Step::Settled,
    };
    match view.memory.waits(&wish.attempt(), view.now) {
        Some(until) if !view.memory.is_retry_ordered() => Step::Wait {
            until,
            why: Pause::Failed,
        },
        _ => step,
    }
}

fn newest(history: &History) -> Option<&Revision> {
    history.values().next_back()
}

#[cfg(test)]
mod tests;
