//! From what is not well down to the object that is to blame.
//!
//! A Deployment is not well because its ReplicaSet is not, and that because a pod cannot pull its image: the pod is the root, and
//! its sentence is the one to read.

use std::cmp::Reverse;

use c7n_api::{Cause, HealthStatus, LiveObject, ObjectRef};

use super::attribute::{Family, is_release};

/// From well to bad.
pub fn severity(health: HealthStatus) -> u8 {
    match health {
        HealthStatus::Healthy => 0,
        HealthStatus::Suspended => 1,
        HealthStatus::Progressing => 2,
        HealthStatus::Unknown => 3,
        HealthStatus::Missing => 4,
        HealthStatus::Degraded => 5,
    }
}

fn is_unwell(object: &LiveObject) -> bool {
    severity(object.health) > severity(HealthStatus::Suspended)
}

/// Why these objects together are not well; `None` if they are. `counts` says of each object of the family whether it matters.
pub fn root(family: &Family<'_>, members: &[usize], counts: &[bool]) -> Option<Cause> {
    let object = |at: usize| &family.objects[at];
    let unwell = members
        .iter()
        .copied()
        .filter(|at| counts[*at] && is_unwell(object(*at)));
    let (releases, others): (Vec<usize>, Vec<usize>) = unwell.partition(|at| is_release(object(*at)));
    let worst = |all: &[usize]| all.iter().map(|at| severity(object(*at).health)).max();
    // A release that failed, with nothing below it that is as bad, is to blame itself.
    let blamed = match (worst(&releases), worst(&others)) {
        (None, None) => return None,
        (Some(release), other) if other.is_none_or(|other| other < release) => releases,
        (_, worst) => others
            .into_iter()
            .filter(|at| Some(severity(object(*at).health)) == worst)
            .map(|at| deepest(family, at, counts))
            .collect(),
    };
    let best = blamed.into_iter().map(object).min_by_key(|object| rank(object))?;
    Some(cause(best))
}

/// Follows what is not well as long as it explains the one above.
fn deepest(family: &Family<'_>, from: usize, counts: &[bool]) -> usize {
    let mut here = from;
    // No path is longer than there are objects, unless it is a circle.
    for _ in 0..family.objects.len() {
        let object = &family.objects[here];
        let owned = family.children[here].iter().copied();
        let below = owned
            .filter(|at| counts[*at] && is_unwell(&family.objects[*at]))
            .filter(|at| {
                object.cause.is_none() || severity(family.objects[*at].health) >= severity(object.health)
            })
            .min_by_key(|at| rank(&family.objects[*at]));
        // What the scheduler says of claims is true, and said better by the claim.
        let waits_for_claims = object
            .cause
            .as_ref()
            .or(object.message.as_ref())
            .is_some_and(|text| text.contains("PersistentVolumeClaim"));
        let claim = || {
            let claims = family.claims_of(here).filter(|_| waits_for_claims);
            claims
                .filter(|at| is_unwell(&family.objects[*at]))
                .min_by_key(|at| rank(&family.objects[*at]))
        };
        match below.or_else(claim) {
            Some(next) => here = next,
            None => break,
        }
    }
    here
}

/// The worst first; of equals one that can explain itself; then by name, so that the same one is named each time.
fn rank(object: &LiveObject) -> (Reverse<u8>, bool, &str, &str) {
    (
        Reverse(severity(object.health)),
        object.cause.is_none(),
        &object.kind,
        &object.name,
    )
}

fn cause(object: &LiveObject) -> Cause {
    let filled = |text: &&str| !text.is_empty();
    let mut lines = object.cause.as_deref().unwrap_or_default().lines();
    let sentence = lines.next().filter(filled);
    let message = || object.message.as_deref().filter(filled);
    let text = sentence.or_else(message).unwrap_or(match object.health {
        HealthStatus::Degraded => "is degraded and does not say why",
        HealthStatus::Missing => "is not in the cluster",
        HealthStatus::Unknown => "does not say how it is doing",
        _ => "is not ready yet",
    });
    Cause {
        text: format!("{} {}: {text}", object.kind, object.name),
        log: lines.map(str::to_owned).collect(),
        object: ObjectRef {
            group: object.group.clone(),
            kind: object.kind.clone(),
            name: object.name.clone(),
        },
    }
}
