//! One stream: its two seats, what has passed, and its end. Shared by its keeper and by the tasks of its sockets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use c7n_api::StreamKind;
use c7n_stream::{BadFrame, End, EndCode, Frame, Glance, Part, glance};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::outlet::Occupant;
use super::recorder::Recorder;
use super::registry::Place;
use super::state::{Side, State, resumes};
use super::tickets::TicketHash;
use crate::store::{EndedRow, StreamRow};

pub struct Joint {
    pub row: StreamRow,
    pub cluster_id: String,
    /// Of the session that opened it.
    pub token_hash: String,
    /// It ends when no bytes have passed for so long.
    pub idle: Option<Duration>,
    state: Mutex<State<Arc<Occupant>>>,
    tally: Mutex<Tally>,
    ending: OnceLock<Ending>,
    /// There is an ending.
    pub over: CancellationToken,
    /// Somebody came or went.
    pub changed: Notify,
    /// Somebody took a seat.
    arrived: Notify,
    closed: AtomicBool,
    recorder: Option<tokio::sync::Mutex<Recorder>>,
    /// Counted among the open ones until nothing is left of it, the last socket included.
    _place: Place,
}

/// How it is over; `by` the end that said so.
pub struct Ending {
    pub by: Option<Side>,
    pub end: End,
    /// The person's end was away when it happened, and may come back to hear of it.
    pub unheard: Option<Instant>,
}

struct Tally {
    /// Of the pieces of each direction, the first that has not passed yet: after a break they are said again.
    next: [u64; 2],
    bytes: [u64; 2],
    /// When bytes passed last.
    moved: Instant,
    exit_code: Option<i32>,
}

/// What becomes of a frame.
#[derive(Debug, PartialEq)]
pub enum Passing {
    Relay,
    End(End),
}

impl Joint {
    pub fn new(
        row: StreamRow,
        cluster_id: String,
        token_hash: String,
        idle: Option<Duration>,
        ticket: TicketHash,
        until: Instant,
        place: Place,
    ) -> Self {
        let now = Instant::now();
        Self {
            row,
            cluster_id,
            token_hash,
            idle,
            state: Mutex::new(State::new(ticket, now, until)),
            tally: Mutex::new(Tally {
                next: [0; 2],
                bytes: [0; 2],
                moved: now,
                exit_code: None,
            }),
            ending: OnceLock::new(),
            over: CancellationToken::new(),
            changed: Notify::new(),
            arrived: Notify::new(),
            closed: AtomicBool::new(false),
            recorder: None,
            _place: place,
        }
    }

    pub fn recorded_by(mut self, recorder: Option<Recorder>) -> Self {
        self.recorder = recorder.map(tokio::sync::Mutex::new);
        self
    }

    pub fn state(&self) -> MutexGuard<'_, State<Arc<Occupant>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn occupant(&self, side: Side) -> Option<Arc<Occupant>> {
        self.state().seat(side).occupant().cloned()
    }

    /// Whether this seat is taken, once it was.
    pub fn presence(&self, side: Side) -> Option<bool> {
        let state = self.state();
        let seat = state.seat(side);
        seat.taken_before().then(|| seat.occupant().is_some())
    }

    /// Somebody took a seat; for those who wait for it.
    pub fn taken(&self) {
        self.changed.notify_one();
        self.arrived.notify_waiters();
    }

    /// Until this seat was taken for the first time.
    pub async fn first_taken(&self, side: Side) {
        loop {
            let arrived = self.arrived.notified();
            let mut arrived = std::pin::pin!(arrived);
            // Before the look, so that nobody comes in between unseen.
            arrived.as_mut().enable();
            if self.state().seat(side).taken_before() {
                return;
            }
            arrived.await;
        }
    }

    /// The first ending counts.
    pub fn end(&self, by: Option<Side>, end: End) {
        let unheard = self.state().away_since(Side::Client);
        let _ = self.ending.set(Ending { by, end, unheard });
        self.over.cancel();
    }

    /// Nobody can come any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub fn ending(&self) -> Option<&Ending> {
        self.ending.get()
    }

    /// The socket of this occupant broke. Nothing, if another has its place already.
    pub fn lost(&self, side: Side, occupant: &Arc<Occupant>) {
        occupant.gone.cancel();
        let left = self
            .state()
            .leave(side, Instant::now(), |sits| Arc::ptr_eq(sits, occupant));
        if !left {
            return;
        }
        if !resumes(self.row.kind) {
            self.end(None, broken(side));
        }
        self.changed.notify_one();
        if let Some(peer) = self.occupant(side.other()) {
            peer.tell_of_peer();
        }
    }

    /// Looks at a frame that this side says: whether it may, what is counted of it.
    pub fn pass(&self, side: Side, frame: &Bytes) -> Result<Passing, End> {
        let seen = glance(frame).map_err(|error| garbled(&error))?;
        if !may_say(self.row.kind, side, seen) {
            return Err(End::new(
                EndCode::ProtocolError,
                "an end said what is not for it to say; bring the CLI and the agent to the platform's version",
            ));
        }
        match seen {
            Glance::End => match Frame::decode(frame.clone()) {
                Ok(Frame::End(end)) => return Ok(Passing::End(end)),
                Ok(_) => {}
                Err(error) => return Err(garbled(&error)),
            },
            Glance::FromPerson { seq, bytes } | Glance::FromPod { seq, bytes } => {
                self.count(side, Some(seq), bytes);
            }
            Glance::LogBytes { bytes } => {
                self.count(side, None, bytes);
            }
            Glance::Finished { seq } => {
                if self.count(side, Some(seq), 0)
                    && let Ok(Frame::Piece(piece)) = Frame::decode(frame.clone())
                    && let Part::Finished(finished) = piece.part
                {
                    self.tally().exit_code = Some(finished.exit_code);
                }
            }
            Glance::Turn | Glance::LogWords | Glance::OfPlatform => {}
        }
        Ok(Passing::Relay)
    }

    /// Keeps what is shown of a frame, before anybody sees it.
    pub async fn record(&self, side: Side, frame: &Bytes) -> Result<(), End> {
        let Some(recorder) = &self.recorder else {
            return Ok(());
        };
        let Ok(Frame::Piece(piece)) = Frame::decode(frame.clone()) else {
            return Ok(());
        };
        let kept = recorder.lock().await.take(side, &piece).await;
        kept.map_err(|error| self.unrecorded(&error))
    }

    pub fn is_recorded(&self) -> bool {
        self.recorder.is_some()
    }

    /// What was shown so far is in the file.
    pub async fn flush_recording(&self) -> Result<(), End> {
        let Some(recorder) = &self.recorder else {
            return Ok(());
        };
        let flushed = recorder.lock().await.flush().await;
        flushed.map_err(|error| self.unrecorded(&error))
    }

    pub async fn finish_recording(&self) {
        if let Some(recorder) = &self.recorder
            && let Err(error) = recorder.lock().await.finish().await
        {
            tracing::error!(stream = %self.row.id, %error, "a recording could not be finished");
        }
    }

    fn unrecorded(&self, error: &std::io::Error) -> End {
        tracing::error!(stream = %self.row.id, %error, "a recording cannot be written; its session is cut");
        End::new(
            EndCode::Failed,
            "the recording of this session cannot be written, and there is none without; tell an administrator to look at \
             the platform's disk",
        )
    }

    /// False for a piece that has passed before.
    fn count(&self, side: Side, seq: Option<u64>, bytes: usize) -> bool {
        let mut tally = self.tally();
        let at = side as usize;
        if let Some(seq) = seq {
            if seq < tally.next[at] {
                return false;
            }
            tally.next[at] = seq.saturating_add(1);
        }
        tally.bytes[at] += bytes as u64;
        if bytes > 0 {
            tally.moved = Instant::now();
        }
        true
    }

    /// When it ends because nothing passes.
    pub fn idle_at(&self) -> Option<Instant> {
        let idle = self.idle?;
        Some(self.tally().moved + idle)
    }

    /// As the audit log keeps it.
    pub fn ended_row(&self) -> EndedRow {
        let tally = self.tally();
        let reason = match self.ending() {
            Some(Ending { end, .. }) => match end.code() {
                EndCode::Completed => "completed".to_owned(),
                EndCode::Left => "left".to_owned(),
                _ => end.message.chars().take(500).collect(),
            },
            None => String::new(),
        };
        EndedRow {
            exit_code: tally.exit_code,
            reason,
            bytes_in: tally.bytes[Side::Client as usize],
            bytes_out: tally.bytes[Side::Agent as usize],
        }
    }
}

fn may_say(kind: StreamKind, side: Side, seen: Glance) -> bool {
    match (seen, side) {
        (Glance::OfPlatform, _) => false,
        (Glance::End | Glance::Turn, _) | (Glance::LogWords, Side::Agent) => true,
        (Glance::FromPerson { .. }, Side::Client)
        | (Glance::FromPod { .. } | Glance::Finished { .. }, Side::Agent) => kind != StreamKind::Logs,
        (Glance::LogBytes { .. }, Side::Agent) => kind == StreamKind::Logs,
        _ => false,
    }
}

fn garbled(error: &BadFrame) -> End {
    End::new(
        EndCode::ProtocolError,
        format!(
            "an end said what cannot be read ({error}); bring the CLI and the agent to the platform's version"
        ),
    )
}

/// Of a stream that has no resumption.
fn broken(side: Side) -> End {
    let words = match side {
        Side::Client => "the way to the person broke; they open it again from where they are",
        Side::Agent => "the way to the cluster broke; open it again from where you are",
    };
    End::new(EndCode::PeerLost, words)
}
