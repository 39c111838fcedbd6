//! From the outbox to frames.

use bytes::Bytes;
use prost::Message;

use super::{Output, Session, UnderWay};
use crate::messages::{Body, Control, Encoding, Frame};

/// Level 1 is several times faster than the default and nearly as small on what is sent here.
const LEVEL: i32 = 1;

impl Session {
    /// Gives out as much as the window allows, and an acknowledgement if one is due and nothing else carries it.
    pub(super) fn fill(&mut self) {
        while self.outbox.has_queued()
            && self.under_way.len() < self.config.window_frames
            && self.under_way_bytes < self.config.window_bytes
        {
            self.send_batch();
        }
        if self.committed > self.acknowledged {
            let frame = self.frame();
            self.send(&frame);
        }
    }

    pub(super) fn send_control(&mut self, control: Control) {
        let frame = Frame {
            control: Some(control),
            ..self.frame()
        };
        self.send(&frame);
    }

    fn send_batch(&mut self) {
        let mut taken = self.outbox.take(self.config.batch_bytes);
        let items = taken.iter().map(|taken| taken.item.as_ref().clone()).collect();
        let plain = Body { items }.encode_to_vec();
        let plain_len = plain.len();
        let (encoding, body) = pack(plain, self.config.compress_from);
        let mut start = 0;
        loop {
            let end = (start + self.config.chunk_bytes).min(body.len());
            let more = end < body.len();
            let seq = self.next_seq;
            self.next_seq += 1;
            let frame = Frame {
                seq,
                more,
                encoding: encoding.into(),
                body: body.slice(start..end),
                ..self.frame()
            };
            self.send(&frame);
            let (bytes, taken) = if more {
                (0, Vec::new())
            } else {
                (plain_len, std::mem::take(&mut taken))
            };
            self.under_way_bytes += bytes;
            self.under_way.push_back(UnderWay { seq, bytes, taken });
            if !more {
                return;
            }
            start = end;
        }
    }

    fn send(&mut self, frame: &Frame) {
        self.acknowledged = self.acknowledged.max(frame.ack);
        self.output.push_back(Output::Send(frame.encode_to_vec().into()));
    }
}

fn pack(plain: Vec<u8>, compress_from: usize) -> (Encoding, Bytes) {
    if plain.len() >= compress_from
        && let Ok(packed) = zstd::bulk::compress(&plain, LEVEL)
        && packed.len() < plain.len()
    {
        return (Encoding::Zstd, packed.into());
    }
    (Encoding::Plain, plain.into())
}
