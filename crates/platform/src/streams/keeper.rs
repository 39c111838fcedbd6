//! Watches one stream from its opening to its last line in the audit log.

use std::sync::Arc;
use std::time::Duration;

use c7n_link::messages::OpenStream;
use c7n_stream::{End, EndCode};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::joint::Joint;
use super::state::{Side, agent_away, resumes};
use super::{Streams, allowed, tickets};

/// Looks at the right to it that may fail in a row before the stream is cut: nobody goes on unseen.
const BLIND: u32 = 2;
/// What a recording may lose when the platform ends without a word.
const FLUSH: Duration = Duration::from_secs(1);
/// Attempts to write down how it ended.
const ATTEMPTS: u32 = 5;

pub async fn keep(streams: Streams, joint: Arc<Joint>, open: OpenStream) {
    watch(&streams, &joint, open).await;
    joint.finish_recording().await;
    record(&streams, &joint).await;
    hear_of_the_end(&streams, &joint).await;
    streams.inner.registry.close(&joint);
}

/// Until it is over.
async fn watch(streams: &Streams, joint: &Arc<Joint>, open: OpenStream) {
    let inner = &streams.inner;
    let mut clock = interval_at(Instant::now() + inner.times.recheck, inner.times.recheck);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut flush = interval_at(Instant::now() + FLUSH, FLUSH);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open = Some(open);
    let mut blind = 0;
    while !joint.over.is_cancelled() {
        let due = due(streams, joint);
        tokio::select! {
            () = joint.over.cancelled() => {}
            () = inner.shutdown.cancelled() => {
                let end = End::new(EndCode::GoingAway, "the platform restarts; open a new stream in a moment");
                joint.end(None, end);
            }
            () = joint.changed.notified() => {
                if joint.presence(Side::Client).is_some() && let Some(open) = open.take() {
                    ask(streams, joint, open);
                }
            }
            () = at(due.as_ref().map(|(at, _)| *at)) => {
                // Bytes may have passed meanwhile, which wake nobody here.
                if let Some((at, end)) = self::due(streams, joint)
                    && at <= Instant::now()
                {
                    joint.end(None, end);
                }
            }
            _ = flush.tick(), if joint.is_recorded() => {
                if let Err(end) = joint.flush_recording().await {
                    joint.end(None, end);
                }
            }
            _ = clock.tick() => blind = look(streams, joint, blind).await,
        }
    }
}

/// What will end it, if nothing happens.
fn due(streams: &Streams, joint: &Joint) -> Option<(Instant, End)> {
    let waits = joint.state().deadline(&streams.inner.times);
    let idle = joint.idle_at().map(|at| {
        let words = "nothing was typed or shown for too long; open a new stream";
        (at, End::new(EndCode::Idle, words))
    });
    waits.into_iter().chain(idle).min_by_key(|(at, _)| *at)
}

/// The agent is told to come, over its session.
fn ask(streams: &Streams, joint: &Arc<Joint>, mut open: OpenStream) {
    let inner = &streams.inner;
    let (ticket, hash) = tickets::issue();
    let now = Instant::now();
    joint.state().asked(hash, now, now + inner.times.agent);
    inner.registry.expect(hash, joint, Side::Agent);
    open.ticket = bytes::Bytes::copy_from_slice(ticket.as_bytes());
    if !inner.fleet.open_stream(&joint.cluster_id, open) {
        joint.end(None, agent_away());
    }
}

/// Is the right still there? How many looks in a row could not tell.
async fn look(streams: &Streams, joint: &Joint, blind: u32) -> u32 {
    let environment = &joint.row.environment_id;
    let standing = streams
        .inner
        .store
        .stream_standing(&joint.token_hash, environment)
        .await;
    let words = match standing {
        Ok(Some(standing)) if standing.cluster_id == joint.cluster_id => {
            match allowed(&standing, environment, joint.row.kind) {
                Ok(()) => return 0,
                Err(_) => "the right to this was taken away; ask an owner of the project for it",
            }
        }
        Ok(_) => "your session has ended, or the environment was deleted; sign in again with `c7n login`",
        Err(error) => {
            tracing::warn!(stream = %joint.row.id, %error, "the right to a stream could not be looked up");
            if blind + 1 < BLIND {
                return blind + 1;
            }
            "the platform cannot tell whether you still may do this; try again in a moment"
        }
    };
    joint.end(None, End::new(EndCode::Forbidden, words));
    0
}

async fn record(streams: &Streams, joint: &Joint) {
    let ended = joint.ended_row();
    for attempt in 1..=ATTEMPTS {
        let stored = async {
            let mut tx = streams.inner.store.write().await?;
            tx.end_stream_record(&joint.row, &ended).await?;
            tx.commit().await
        };
        match stored.await {
            Ok(()) => return,
            // The next start says it of all that have no end.
            Err(error) => {
                tracing::warn!(stream = %joint.row.id, attempt, %error, "the end of a stream could not be stored");
            }
        }
    }
}

/// A person's end that is away at this moment may come back with its ticket, and be told.
async fn hear_of_the_end(streams: &Streams, joint: &Joint) {
    let inner = &streams.inner;
    let unheard = joint.ending().and_then(|ending| ending.unheard);
    let Some(since) = unheard.filter(|_| resumes(joint.row.kind)) else {
        return;
    };
    while joint.presence(Side::Client) == Some(false) {
        tokio::select! {
            () = sleep_until(since + inner.times.patience) => return,
            () = inner.shutdown.cancelled() => return,
            () = joint.changed.notified() => {}
        }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
