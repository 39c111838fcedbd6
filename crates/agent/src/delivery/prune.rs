//! Carries a plan's deletions out: in the reverse order of the waves, each only if it is still the object that was seen.

use std::collections::HashMap;

use c7n_manifests::{Live, ObjectId, Plan, wave_of};
use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::apply::Hand;
use super::failure::Failure;
use super::wave::AT_ONCE;

pub async fn prune(
    hand: &Hand<'_>,
    live: &[Live],
    plan: &Plan,
    cancel: &CancellationToken,
) -> Vec<(ObjectId, Result<(), Failure>)> {
    let uids: HashMap<&ObjectId, &str> = live.iter().map(|live| (&live.id, live.uid.as_str())).collect();
    let mut results = Vec::with_capacity(plan.prune.len());
    for wave in plan
        .prune
        .chunk_by(|a, b| wave_of(&a.group_kind()) == wave_of(&b.group_kind()))
    {
        let jobs: Vec<_> = wave
            .iter()
            .filter_map(|id| Some((id, *uids.get(id)?)))
            .map(|(id, uid)| async move {
                if cancel.is_cancelled() {
                    return None;
                }
                Some((id.clone(), hand.delete(id, uid).await))
            })
            .collect();
        let done: Vec<_> = stream::iter(jobs).buffer_unordered(AT_ONCE).collect().await;
        results.extend(done.into_iter().flatten());
    }
    results
}
