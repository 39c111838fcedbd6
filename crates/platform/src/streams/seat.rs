//! One socket, from the moment when it takes its seat until it is gone.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocket;
use bytes::Bytes;
use c7n_api::StreamKind;
use c7n_stream::{EndCode, Frame, Seated, Ticket};
use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use super::joint::Joint;
use super::outlet::{Occupant, Shut};
use super::relay::{Last, relay};
use super::state::{Side, resumes};
use super::{Streams, tickets};

/// For a socket whose place another has taken, and for all when the platform stops.
const SHORT: Duration = Duration::from_secs(1);

pub async fn sit(streams: Streams, joint: Arc<Joint>, side: Side, socket: WebSocket) {
    let inner = &streams.inner;
    // The tracker lets a shutdown wait until the ends are told.
    let _token = inner.tasks.token();
    let (sink, mut source) = socket.split();
    let own = Arc::new(Occupant::new(sink));
    if greet(&streams, &joint, side, &own).await.is_err() {
        joint.lost(side, &own);
        return;
    }
    let last = tokio::select! {
        biased;
        () = joint.over.cancelled() => None,
        () = own.gone.cancelled() => Some(Last::Lost),
        last = relay(inner, &joint, side, &own, &mut source) => Some(last),
        _ = mind(&streams, &joint, side, &own) => Some(Last::Lost),
    };
    match last {
        Some(Last::Lost) if !joint.over.is_cancelled() => {
            joint.lost(side, &own);
            return own.last_word(SHORT).await;
        }
        Some(Last::Said(end)) => joint.end(Some(side), end),
        Some(Last::Broke(end)) => joint.end(None, end),
        Some(Last::Lost) | None => {}
    }
    if tell_end(&streams, &joint, side, &own).await {
        // A socket that is closed while something is under way to it would lose what it has not read yet.
        let gone = async { while let Some(Ok(_)) = source.next().await {} };
        tokio::select! {
            _ = timeout(patience(&streams, &joint, side), gone) => {}
            () = stopping(&streams) => {}
        }
    }
    joint.lost(side, &own);
}

/// Takes the seat and says so; nobody else can say anything before.
pub(super) async fn greet(
    streams: &Streams,
    joint: &Arc<Joint>,
    side: Side,
    own: &Arc<Occupant>,
) -> Result<(), Shut> {
    let inner = &streams.inner;
    let mut outlet = own.open().await?;
    let next = resumes(joint.row.kind).then(tickets::issue);
    let hash = next.as_ref().map(|(_, hash)| *hash);
    let older = joint.state().sit(side, Arc::clone(own), hash);
    if let Some(hash) = hash {
        inner.registry.expect(hash, joint, side);
    }
    if let Some(older) = older {
        older.gone.cancel();
    }
    if let Some(peer) = joint.occupant(side.other()) {
        own.tell_of_peer();
        peer.tell_of_peer();
    }
    joint.taken();
    let resume = next.map_or_else(Bytes::new, |(ticket, _): (Ticket, _)| {
        Bytes::copy_from_slice(ticket.as_bytes())
    });
    let seated = Frame::Seated(Seated {
        resume,
        patience_ms: u32::try_from(inner.times.patience.as_millis()).unwrap_or(u32::MAX),
    });
    outlet.feed(seated.encode(), inner.times.silence).await?;
    outlet.flush(inner.times.silence).await
}

/// Pings, and words about the other seat, until the socket takes nothing.
async fn mind(streams: &Streams, joint: &Joint, side: Side, own: &Arc<Occupant>) -> Result<(), Shut> {
    let times = &streams.inner.times;
    let limit = match (joint.row.kind, side) {
        (StreamKind::Logs, Side::Client) => times.stalled,
        _ => times.silence,
    };
    let mut clock = interval_at(tokio::time::Instant::now() + times.ping, times.ping);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ping = tokio::select! {
            _ = clock.tick() => true,
            () = own.peer_changed.notified() => false,
        };
        let mut outlet = own.open().await?;
        if let Some(word) = own.peer_frame(|| joint.presence(side.other())) {
            outlet.feed(word, limit).await?;
            outlet.flush(limit).await?;
        }
        if ping {
            outlet.ping(limit).await?;
        }
    }
}

/// The stream is over: this end is told, unless it said so itself. False when it does not take it.
pub(super) async fn tell_end(streams: &Streams, joint: &Joint, side: Side, own: &Arc<Occupant>) -> bool {
    let Some(ending) = joint.ending() else {
        return false;
    };
    let patience = patience(streams, joint, side);
    let told = async {
        let mut outlet = own.open().await?;
        if ending.by != Some(side) {
            outlet
                .feed(Frame::End(ending.end.clone()).encode(), patience)
                .await?;
        }
        outlet.close(patience).await
    };
    tokio::select! {
        told = timeout(patience, told) => matches!(told, Ok(Ok(()))),
        () = stopping(streams) => false,
    }
}

/// How long an end may take to hear that it is over: who reads a whole log slowly shall have all of it.
fn patience(streams: &Streams, joint: &Joint, side: Side) -> Duration {
    let times = &streams.inner.times;
    match (
        joint.row.kind,
        side,
        joint.ending().map(|ending| ending.end.code()),
    ) {
        (StreamKind::Logs, Side::Client, Some(EndCode::Completed)) => times.stalled,
        _ => times.farewell,
    }
}

/// The platform stops, and has waited as long as it can.
async fn stopping(streams: &Streams) {
    streams.inner.shutdown.cancelled().await;
    tokio::time::sleep(SHORT).await;
}
