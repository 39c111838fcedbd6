//! Carries a plan's writes out: one wave after the other, each in parallel inside, within the environment's share.

use std::time::Duration;

use c7n_manifests::{Action, DriftedField, Object, Plan, Step};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::apply::{Hand, kind_of};
use super::failure::Failure;
use crate::cluster::KindName;

/// Of one environment at once, so that a big one leaves room for others.
pub(super) const AT_ONCE: usize = 8;
/// A definition that the API server does not accept in this time is told of by the objects that need it.
const ESTABLISHED: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A step that went well.
pub struct Done {
    pub action: Action,
    /// What somebody else had changed.
    pub drifted: Vec<DriftedField>,
}

/// What came of each step that was begun, by its object. Steps that come after `cancel` are not begun.
pub async fn write<'a>(
    hand: &Hand<'_>,
    wanted: &'a [Object],
    plan: &Plan,
    cancel: &CancellationToken,
) -> Vec<(&'a Object, Result<Done, Failure>)> {
    let mut results = Vec::with_capacity(plan.writes());
    for wave in &plan.waves {
        let steps = wave
            .iter()
            .filter_map(|step| Some((step, wanted.get(step.object)?)));
        let jobs: Vec<_> = steps
            .map(|(step, object)| job(hand, step, object, cancel))
            .collect();
        let done: Vec<_> = stream::iter(jobs)
            .buffer_unordered(AT_ONCE)
            .filter_map(async |done| done)
            .collect()
            .await;
        let definitions: Vec<&Object> = done
            .iter()
            .filter(|(object, done)| done.is_ok() && is_definition(object))
            .map(|(object, _)| *object)
            .collect();
        results.extend(done);
        establish(hand, &definitions).await;
    }
    results
}

async fn job<'a>(
    hand: &Hand<'_>,
    step: &Step,
    object: &'a Object,
    cancel: &CancellationToken,
) -> Option<(&'a Object, Result<Done, Failure>)> {
    if cancel.is_cancelled() {
        return None;
    }
    let done = Box::pin(hand.apply(object, step.action)).await;
    let action = step.action;
    Some((object, done.map(|drifted| Done { action, drifted })))
}

fn is_definition(object: &Object) -> bool {
    object.id.kind == "CustomResourceDefinition" && object.id.group == "apiextensions.k8s.io"
}

/// Waits until what was just defined can be used.
async fn establish(hand: &Hand<'_>, definitions: &[&Object]) {
    if definitions.is_empty() {
        return;
    }
    let until = Instant::now() + ESTABLISHED;
    for definition in definitions {
        let Some(info) = hand
            .discovery
            .kinds()
            .preferred(&kind_of(&definition.id))
            .cloned()
        else {
            return;
        };
        while Instant::now() < until {
            if let Ok(Some(live)) = hand.get(&info, &definition.id).await {
                let mut conditions = live["status"]["conditions"].as_array().into_iter().flatten();
                if conditions.any(|it| it["type"] == "Established" && it["status"] == "True") {
                    break;
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }
    // Established a moment before it is told of.
    while Instant::now() < until {
        let told = match hand.discovery.refresh().await {
            Ok(kinds) => definitions
                .iter()
                .filter_map(|it| defined(it))
                .all(|kind| kinds.preferred(&kind).is_some()),
            Err(_) => false,
        };
        if told {
            return;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn defined(definition: &Object) -> Option<KindName> {
    let spec = &definition.value["spec"];
    Some(KindName::new(
        spec["group"].as_str()?,
        spec["names"]["kind"].as_str()?,
    ))
}
