//! Keeps a watch for each kind that is wanted and that the cluster has.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::answer::PATIENCE;
use super::kinds::to_watch;
use super::watch::Watched;
use crate::cluster::{KindInfo, KindName};

/// Runs until `shutdown`.
pub(super) async fn keep(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut known = shared.discovery.changes();
    let mut tasks = JoinSet::new();
    let mut running: HashMap<KindName, (KindInfo, CancellationToken)> = HashMap::new();
    let mut patience: Option<Instant> = None;
    loop {
        begin_and_end(&shared, &mut tasks, &mut running);
        shared.answer_what_is_due();
        patience = shared
            .digests_are_due()
            .then(|| patience.unwrap_or_else(|| Instant::now() + PATIENCE));
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = shared.wanted.notified() => {}
            changed = known.changed() => if changed.is_err() { break },
            () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => {
                shared.tell_digests_anyway();
            }
            Some(ended) = tasks.join_next_with_id() => {
                // A watch ends only when it is told to; one that broke is begun again.
                if let Err(error) = ended && error.is_panic() {
                    tracing::error!(%error, "a watch broke and begins again");
                    running.retain(|_, (_, stop)| {
                        stop.cancel();
                        false
                    });
                }
            }
        }
    }
    running.into_values().for_each(|(_, stop)| stop.cancel());
    tasks.shutdown().await;
}

fn begin_and_end(
    shared: &Arc<Shared>,
    tasks: &mut JoinSet<()>,
    running: &mut HashMap<KindName, (KindInfo, CancellationToken)>,
) {
    let kinds = shared.discovery.kinds();
    let (environments, asked) =
        shared.with_table(|table| (table.index.homes().by_id.len(), table.asked.clone()));
    // Without an environment there is nothing to see.
    if environments == 0 {
        return;
    }
    let wanted = to_watch(&kinds, &asked);
    running.retain(|name, (info, stop)| {
        let stays = wanted
            .get(name)
            .is_some_and(|now| now.resource == info.resource && now.scope == info.scope);
        if !stays {
            stop.cancel();
            shared.take(|index| index.unwatch(name));
        }
        stays
    });
    for (name, info) in wanted {
        if running.contains_key(&name) {
            continue;
        }
        let wake = shared.with(|index| index.watch(&name, &info));
        let stop = CancellationToken::new();
        running.insert(name.clone(), (info.clone(), stop.clone()));
        let watched = Watched {
            shared: shared.clone(),
            name,
            info,
            wake,
        };
        tasks.spawn(watched.run(stop));
    }
}
