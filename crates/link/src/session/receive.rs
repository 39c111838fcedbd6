//! From frames to what is delivered.

use std::io::Read;

use bytes::Bytes;
use prost::Message;

use super::weigh::decoded_size;
use super::{Output, ProtocolError, Role, Session, State};
use crate::messages::{Body, ByeCode, Control, Encoding, Frame};

impl Session {
    /// One binary message from the peer. After an error the session is closing, and the peer is told why.
    pub fn receive(&mut self, now: u64, message: &[u8]) -> Result<(), ProtocolError> {
        if matches!(self.state, State::Closed | State::Closing) {
            return Ok(());
        }
        let outcome = self.try_receive(now, message);
        if let Err(error) = &outcome {
            self.refuse(ByeCode::ProtocolError, &error.to_string(), 0);
        }
        outcome
    }

    fn try_receive(&mut self, now: u64, message: &[u8]) -> Result<(), ProtocolError> {
        let (what, limit) = match self.state {
            State::AwaitingHello | State::AwaitingAccept => ("hello", self.config.max_hello),
            _ => ("frame", self.config.max_frame),
        };
        if message.len() > limit {
            return Err(ProtocolError::TooBig {
                what,
                size: message.len(),
                limit,
            });
        }
        let frame = Frame::decode(message).map_err(|error| ProtocolError::Malformed(error.to_string()))?;
        if self.is_of_another_session(&frame) {
            // Not for this one, be it a farewell; and no sign that this peer lives.
            return Ok(());
        }
        self.last_heard = now;
        match (self.state, frame.control) {
            (_, Some(Control::Bye(bye))) => {
                let code = bye.code();
                self.close(code, &bye.reason, bye.retry_after_ms);
                Ok(())
            }
            (State::AwaitingHello, Some(Control::Hello(hello))) => {
                self.state = State::AwaitingAccept;
                self.output.push_back(Output::Hello(hello));
                Ok(())
            }
            (State::AwaitingWelcome, Some(Control::Welcome(welcome))) if self.role == Role::Agent => {
                self.state = State::Open;
                self.epoch = frame.epoch;
                self.last_ping = now;
                self.output.push_back(Output::Welcome(welcome));
                Ok(())
            }
            (State::Open, control) => {
                self.hear_ack(frame.ack)?;
                match control {
                    None if frame.seq == 0 => Ok(()),
                    None => self.hear_piece(frame.seq, frame.more, frame.encoding, &frame.body),
                    Some(Control::Ping(ping)) => {
                        self.send_control(Control::Pong(ping));
                        Ok(())
                    }
                    Some(Control::Pong(_)) => Ok(()),
                    Some(_) => Err(ProtocolError::Unexpected("an introduction in an open session")),
                }
            }
            _ => Err(ProtocolError::Unexpected("anything but an introduction")),
        }
    }

    fn is_of_another_session(&self, frame: &Frame) -> bool {
        match self.state {
            State::AwaitingWelcome if matches!(frame.control, Some(Control::Welcome(_))) => false,
            State::AwaitingWelcome | State::Open => frame.epoch != self.epoch,
            _ => false,
        }
    }

    fn hear_ack(&mut self, ack: u64) -> Result<(), ProtocolError> {
        if ack >= self.next_seq {
            return Err(ProtocolError::AckOfNothing { ack });
        }
        while let Some(first) = self.under_way.front()
            && first.seq <= ack
        {
            let Some(done) = self.under_way.pop_front() else {
                break;
            };
            self.under_way_bytes -= done.bytes;
            for taken in done.taken {
                self.outbox.acknowledged(&taken.topic, taken.version);
            }
        }
        Ok(())
    }

    fn hear_piece(
        &mut self,
        seq: u64,
        more: bool,
        encoding: i32,
        piece: &Bytes,
    ) -> Result<(), ProtocolError> {
        if seq <= self.received {
            // Doubled on the way; it has been heard.
            return Ok(());
        }
        if seq != self.received + 1 {
            return Err(ProtocolError::OutOfOrder {
                expected: self.received + 1,
                got: seq,
            });
        }
        self.received = seq;
        let limit = self.config.max_message;
        let size = self.partial.len() + piece.len();
        if size > limit {
            return Err(ProtocolError::TooBig {
                what: "message",
                size,
                limit,
            });
        }
        if more {
            self.partial.extend_from_slice(piece);
            return Ok(());
        }
        let whole = if self.partial.is_empty() {
            piece.clone()
        } else {
            self.partial.extend_from_slice(piece);
            self.partial.split().freeze()
        };
        let plain = unpack(encoding, whole, limit)?;
        self.take_in(seq, plain.len())?;
        let decoded = decoded_size(&plain)?;
        if decoded > self.config.max_decoded {
            return Err(ProtocolError::TooBig {
                what: "decoded message",
                size: decoded,
                limit: self.config.max_decoded,
            });
        }
        let body = Body::decode(plain).map_err(|error| ProtocolError::Malformed(error.to_string()))?;
        let known: Vec<_> = body.items.into_iter().map(|item| item.say).collect();
        self.unknown_items += known.iter().filter(|say| say.is_none()).count() as u64;
        let items = known.into_iter().flatten().collect();
        self.output.push_back(Output::Deliver {
            epoch: self.epoch,
            seq,
            items,
        });
        Ok(())
    }

    /// A peer keeps to its window, or else it could fill our memory while our database is slow.
    fn take_in(&mut self, seq: u64, size: usize) -> Result<(), ProtocolError> {
        self.uncommitted.push_back((seq, size));
        self.uncommitted_bytes += size;
        // Twice our own window: another version may have another.
        let frames = 2 * self.config.window_frames;
        let bytes = 2 * self.config.window_bytes + self.config.max_message;
        for (what, size, limit) in [
            ("backlog of messages", self.uncommitted.len(), frames),
            ("backlog", self.uncommitted_bytes, bytes),
        ] {
            if size > limit {
                return Err(ProtocolError::TooBig { what, size, limit });
            }
        }
        Ok(())
    }
}

fn unpack(encoding: i32, whole: Bytes, limit: usize) -> Result<Bytes, ProtocolError> {
    match Encoding::try_from(encoding) {
        Ok(Encoding::Plain) => Ok(whole),
        Ok(Encoding::Zstd) => unpack_zstd(&whole, limit),
        Err(_) => Err(ProtocolError::Malformed(format!(
            "encoding {encoding} is not known"
        ))),
    }
}

fn unpack_zstd(whole: &[u8], limit: usize) -> Result<Bytes, ProtocolError> {
    let malformed = |error: std::io::Error| ProtocolError::Malformed(error.to_string());
    let mut decoder = zstd::stream::read::Decoder::new(whole).map_err(malformed)?;
    // The window is memory that the peer asks for before it has sent anything (RFC 8878, section 3.1.1.1.2).
    let window = limit.checked_next_power_of_two().map_or(27, usize::ilog2);
    decoder.window_log_max(window.clamp(10, 27)).map_err(malformed)?;
    let mut plain = Vec::new();
    // Read one byte more than is allowed: what claims to be small and is not shows itself.
    decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(malformed)?;
    if plain.len() > limit {
        return Err(ProtocolError::TooBig {
            what: "message",
            size: plain.len(),
            limit,
        });
    }
    Ok(plain.into())
}
