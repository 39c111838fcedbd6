//! Logs: of one pod, of a release, of what a selector finds; one container or all; as they are or as they come.
//!
//! One reader per container writes frames, all of them together no more than [`FRAMES`] at a time; TCP to the platform holds
//! them back. Nothing is resumed here: who lost a log opens another stream from the positions it has.

mod crowd;
mod instance;
mod pods;
mod read;
mod reader;

use std::time::Duration;

use bytes::Bytes;
use c7n_link::messages::ReadLogs;
use c7n_stream::{End, EndCode, Frame, LogNotice};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{MissedTickBehavior, interval};

use super::seat::{Seat, out_of_turn};
use super::wire::{Came, SILENCE, TICK};
use super::{Ground, going_away};
use crowd::Crowd;
use pods::{Change, Pods};

/// Frames under way from all readers to the socket.
const FRAMES: usize = 3;
/// Bytes of one; with the socket's own buffer no more than a window of a pipe's.
const FRAME: usize = 32 << 10;
/// A reader that takes nothing for so long has forgotten it.
const STALLED: Duration = Duration::from_secs(300);

/// What a reader has to say, and its place among the frames.
struct Said {
    frame: Bytes,
    _place: Option<OwnedSemaphorePermit>,
}

impl Said {
    fn word(frame: &Frame) -> Self {
        Self {
            frame: frame.encode(),
            _place: None,
        }
    }
}

pub async fn run(ground: &Ground, wish: ReadLogs, seat: &mut Seat) -> Option<End> {
    let follow = wish.follow && !wish.previous;
    let (said, mut words) = mpsc::channel(FRAMES);
    let mut pods = match Pods::open(ground, &wish, follow).await {
        Ok(pods) => pods,
        Err(end) => return Some(end),
    };
    let mut crowd = match Crowd::new(ground, wish, said) {
        Ok(crowd) => crowd,
        Err(end) => return Some(end),
    };
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.tick().await;
    let mut right_lost = Box::pin(ground.right_lost());
    loop {
        if words.is_empty()
            && let Some(end) = crowd.is_over()
        {
            return Some(end);
        }
        let wire = &mut seat.wire;
        tokio::select! {
            () = ground.shutdown.cancelled() => return Some(going_away()),
            end = &mut right_lost => return Some(end),
            came = wire.reader.next() => match came {
                Ok(Came::Sign) => wire.writer.sign(),
                Ok(Came::Bytes(bytes)) => match Frame::decode(bytes) {
                    Ok(Frame::End(_)) => return None,
                    Ok(Frame::Peer(_)) => {}
                    Ok(_) => return Some(out_of_turn("a frame that is not for a log")),
                    Err(error) => return Some(out_of_turn(&error.to_string())),
                },
                Err(_) => return None,
            },
            wrote = wire.writer.progress(), if wire.writer.is_dirty() => if wrote.is_err() {
                return None;
            },
            Some(said) = words.recv(), if wire.writer.has_room() => wire.writer.send(said.frame),
            change = pods.next() => match change {
                Ok(Change::Seen(pod)) => {
                    if let Err(end) = crowd.see(&pod) {
                        return Some(end);
                    }
                }
                Ok(Change::Gone(uid)) => crowd.lose(&uid),
                Ok(Change::Known) => if let Some(notice) = crowd.all_known() {
                    wire.writer.send(Frame::LogNotice(LogNotice { text: notice }).encode());
                },
                Err(end) => return Some(end),
            },
            () = crowd.progress() => {}
            _ = tick.tick() => {
                if wire.writer.stalled_for() >= STALLED {
                    return Some(End::new(
                        EndCode::Idle,
                        format!("nothing of the log was read for {} minutes; open it again", STALLED.as_secs() / 60),
                    ));
                }
                // Who is held back by the person's end is not silent.
                if wire.writer.is_dirty() {
                    wire.reader.excuse();
                }
                if wire.tick(SILENCE).is_err() {
                    return None;
                }
            }
        }
    }
}
