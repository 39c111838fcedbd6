//! What one end says goes to the other: as it came, as fast as the other takes it, and no further.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use c7n_api::StreamKind;
use c7n_stream::{End, EndCode};
use futures_util::stream::SplitStream;
use futures_util::{FutureExt, StreamExt};
use tokio::time::timeout;

use super::Inner;
use super::joint::{Joint, Passing};
use super::outlet::{Occupant, Outlet, Shut};
use super::state::Side;

/// Frames after which others may write too.
const BATCH: usize = 64;

/// Why nothing more comes of an end.
pub enum Last {
    /// Its socket broke.
    Lost,
    /// It says that the stream is over.
    Said(End),
    /// The stream cannot go on.
    Broke(End),
}

/// Relays until this end is gone or says so. `own` sits on `side`, and `source` is its socket.
pub async fn relay(
    inner: &Inner,
    joint: &Joint,
    side: Side,
    own: &Arc<Occupant>,
    source: &mut SplitStream<WebSocket>,
) -> Last {
    let mut new = true;
    loop {
        let mut next = match wait(inner, joint, side, own, source).await {
            Some(message) => message,
            None => return Last::Lost,
        };
        if std::mem::take(&mut new) {
            let void = joint.state().heard(side);
            inner.registry.forget(&void);
        }
        let mut peer = Peer::new(inner, joint, side.other());
        let mut room = BATCH;
        loop {
            match next {
                Ok(Message::Binary(frame)) => match joint.pass(side, &frame) {
                    Ok(Passing::Relay) => {
                        if let Err(end) = joint.record(side, &frame).await {
                            return Last::Broke(end);
                        }
                        if let Err(end) = peer.write(frame).await {
                            return Last::Broke(end);
                        }
                    }
                    Ok(Passing::End(end)) => {
                        return match peer.flush().await {
                            Ok(()) => Last::Said(end),
                            Err(end) => Last::Broke(end),
                        };
                    }
                    Err(end) => return Last::Broke(end),
                },
                Ok(Message::Pong(payload)) => own.heard_pong(&payload),
                Ok(Message::Ping(_)) => {}
                Ok(Message::Text(_)) => return Last::Broke(no_text()),
                Ok(Message::Close(_)) => {
                    let _ = peer.flush().await;
                    return Last::Lost;
                }
                Err(error) => {
                    let _ = peer.flush().await;
                    return broken(&error);
                }
            }
            room -= 1;
            if room == 0 {
                break;
            }
            // Flushed at once when nothing more has come.
            next = match source.next().now_or_never() {
                Some(Some(message)) => message,
                Some(None) => {
                    let _ = peer.flush().await;
                    return Last::Lost;
                }
                None => break,
            };
        }
        if let Err(end) = peer.flush().await {
            return Last::Broke(end);
        }
    }
}

/// The next message; `None` when there was none for too long.
async fn wait(
    inner: &Inner,
    joint: &Joint,
    side: Side,
    own: &Occupant,
    source: &mut SplitStream<WebSocket>,
) -> Option<Result<Message, axum::Error>> {
    let times = &inner.times;
    let mut silent = Duration::ZERO;
    loop {
        match timeout(times.silence, source.next()).await {
            Ok(message) => return message,
            Err(_) => {
                silent += times.silence;
                // Who reads a log slowly has not seen the ping yet that it should answer.
                let slow = joint.row.kind == StreamKind::Logs && side == Side::Client && own.is_behind();
                if !slow || silent > times.stalled {
                    return None;
                }
            }
        }
    }
}

/// The other end, while a batch goes to it.
struct Peer<'a> {
    inner: &'a Inner,
    joint: &'a Joint,
    side: Side,
    outlet: Option<Outlet>,
}

impl<'a> Peer<'a> {
    fn new(inner: &'a Inner, joint: &'a Joint, side: Side) -> Self {
        Self {
            inner,
            joint,
            side,
            outlet: None,
        }
    }

    /// How long a write may take.
    fn limit(&self) -> Duration {
        match (self.joint.row.kind, self.side) {
            (StreamKind::Logs, Side::Client) => self.inner.times.stalled,
            _ => self.inner.times.silence,
        }
    }

    /// What is said before the other end has come waits for it. What is said to a seat that is empty later is dropped: after a
    /// break it is said again.
    async fn write(&mut self, frame: Bytes) -> Result<(), End> {
        if self.outlet.is_none() {
            self.joint.first_taken(self.side).await;
            let Some(occupant) = self.joint.occupant(self.side) else {
                return Ok(());
            };
            let Ok(mut outlet) = occupant.open().await else {
                return Ok(());
            };
            let presence = || self.joint.presence(self.side.other());
            if let Some(word) = occupant.peer_frame(presence) {
                let fed = outlet.feed(word, self.limit()).await;
                self.outlet = Some(outlet);
                self.judge(fed)?;
            } else {
                self.outlet = Some(outlet);
            }
        }
        let limit = self.limit();
        match &mut self.outlet {
            Some(outlet) => {
                let fed = outlet.feed(frame, limit).await;
                self.judge(fed)
            }
            None => Ok(()),
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        let limit = self.limit();
        let flushed = match &mut self.outlet {
            Some(outlet) => outlet.flush(limit).await,
            None => Ok(()),
        };
        let judged = self.judge(flushed);
        self.outlet = None;
        judged
    }

    fn judge(&mut self, written: Result<(), Shut>) -> Result<(), End> {
        let Err(shut) = written else { return Ok(()) };
        if let Some(outlet) = self.outlet.take() {
            let occupant = Arc::clone(outlet.occupant());
            drop(outlet);
            if shut == Shut::Stalled && self.joint.row.kind == StreamKind::Logs && self.side == Side::Client {
                return Err(unread());
            }
            // Its own task sees to the rest.
            occupant.gone.cancel();
        }
        Ok(())
    }
}

/// What does not come of the way but of who speaks.
fn broken(error: &axum::Error) -> Last {
    let text = error.to_string();
    let protocol = text.starts_with("WebSocket protocol error") && !text.contains("closing handshake");
    if protocol || text.starts_with("Space limit exceeded") || text.starts_with("UTF-8") {
        return Last::Broke(End::new(
            EndCode::ProtocolError,
            format!(
                "an end does not keep to the protocol ({text}); bring the CLI and the agent to the platform's version"
            ),
        ));
    }
    Last::Lost
}

fn no_text() -> End {
    End::new(
        EndCode::ProtocolError,
        "an end sent text where frames are binary; bring the CLI and the agent to the platform's version",
    )
}

fn unread() -> End {
    End::new(
        EndCode::Idle,
        "nothing was read for too long; open the log again from where you are",
    )
}
