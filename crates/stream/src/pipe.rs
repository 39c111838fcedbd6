//! One end of an exec or a port-forward: pieces go out in order, each is kept until the other end has consumed it, and a break
//! of either way loses and doubles nothing.
//!
//! In: parts to say, frames that came, breaks. Out: frames to write, parts that came. Never: more than [`WINDOW`] bytes kept
//! in either direction, whatever the other end does.

use std::collections::VecDeque;

use crate::frame::{Frame, MAX_PIECE, Part, Piece, Resume};

/// How much may be under way in one direction, from the source to what has consumed it.
pub const WINDOW: usize = 256 << 10;
/// What is consumed is acknowledged in portions: so that a source never waits for the last of them.
const PORTION: usize = WINDOW / 4;

/// The other end does not keep to the rules; the stream cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutOfTurn {
    #[error("the other end says more than the window takes")]
    TooMuch,
    #[error("the other end has consumed piece {0}, which was never sent")]
    NeverSent(u64),
    #[error("the other end wants piece {0} again, which it had consumed")]
    LongGone(u64),
}

#[derive(Debug, Default)]
pub struct Pipe {
    // what goes out
    /// Not consumed yet; the first of them has the number `first`.
    kept: VecDeque<Part>,
    first: u64,
    kept_weight: usize,
    /// The next that is to be written to this socket; `None` while it is not known where the other end stands.
    next_out: Option<u64>,
    /// Everything before this was written to some socket, and may have come.
    said: u64,
    // what comes in
    expected: u64,
    /// Weights of what came and is not consumed.
    pending: VecDeque<usize>,
    pending_weight: usize,
    /// Consumed, and not acknowledged.
    owed: usize,
    /// An acknowledgement that must go out, and the answer to a break.
    ack_due: bool,
    resume_due: Option<Resume>,
}

impl Pipe {
    pub fn new() -> Self {
        Self {
            next_out: Some(0),
            ..Self::default()
        }
    }

    /// May a part with up to [`MAX_PIECE`] bytes be offered? Who has a source reads on only then.
    pub fn has_room(&self) -> bool {
        self.kept_weight + Part::Output(bytes::Bytes::new()).weight() + MAX_PIECE <= WINDOW
    }

    /// To be said. Parts with bytes only when there is room; the others always. Of two sizes in a row the newer counts.
    pub fn offer(&mut self, part: Part) {
        debug_assert!(self.has_room() || part.weight() < MAX_PIECE);
        let unsaid = self.said < self.end();
        if let (Part::Resize(newer), Some(Part::Resize(older)), true) = (&part, self.kept.back_mut(), unsaid)
        {
            *older = *newer;
            return;
        }
        self.kept_weight += part.weight();
        self.kept.push_back(part);
    }

    /// The next frame to write, if there is one.
    pub fn poll(&mut self) -> Option<Frame> {
        if let Some(resume) = self.resume_due.take() {
            return Some(Frame::Resume(resume));
        }
        if std::mem::take(&mut self.ack_due) {
            self.owed = 0;
            return Some(Frame::Ack(self.consumed_up_to()));
        }
        let seq = self.next_out?;
        let part = self.kept.get(usize::try_from(seq - self.first).ok()?)?.clone();
        self.next_out = Some(seq + 1);
        self.said = self.said.max(seq + 1);
        Some(Frame::Piece(Piece { seq, part }))
    }

    /// A part that came for the first time. What is no business of a pipe's is passed over.
    pub fn receive(&mut self, frame: Frame) -> Result<Option<Part>, OutOfTurn> {
        match frame {
            Frame::Piece(piece) => return self.take(piece),
            Frame::Ack(next) => self.forget(next)?,
            Frame::Resume(resume) => {
                if resume.next > self.end() {
                    return Err(OutOfTurn::NeverSent(resume.next));
                }
                if resume.next < self.first {
                    return Err(OutOfTurn::LongGone(resume.next));
                }
                self.next_out = Some(resume.next);
                // An acknowledgement may have been lost as well.
                self.ack_due = true;
                if !resume.answer {
                    self.resume_due = Some(self.resume(true));
                }
            }
            _ => {}
        }
        Ok(None)
    }

    /// The oldest part that [`Pipe::receive`] gave out was consumed: written to where it belongs, not merely queued.
    pub fn consumed(&mut self) {
        let Some(weight) = self.pending.pop_front() else {
            return;
        };
        self.pending_weight -= weight;
        self.owed += weight;
        // Small parts are rare, and somebody may wait for one of them to have arrived: an end, for instance.
        if self.owed >= PORTION || weight < PORTION / 64 {
            self.ack_due = true;
        }
    }

    /// This end has lost its socket and has a new one.
    pub fn rejoined(&mut self) {
        self.next_out = None;
        self.ack_due = false;
        self.resume_due = Some(self.resume(false));
    }

    /// Everything that was offered has been consumed.
    pub fn is_settled(&self) -> bool {
        self.kept.is_empty()
    }

    fn take(&mut self, piece: Piece) -> Result<Option<Part>, OutOfTurn> {
        // Said twice, or ahead of what a break has swallowed and what will be said again.
        if piece.seq != self.expected {
            return Ok(None);
        }
        let weight = piece.part.weight();
        // Ends and sizes come on top of a full window.
        if self.pending_weight + self.owed + weight > WINDOW + MAX_PIECE {
            return Err(OutOfTurn::TooMuch);
        }
        self.expected += 1;
        self.pending.push_back(weight);
        self.pending_weight += weight;
        Ok(Some(piece.part))
    }

    fn forget(&mut self, next: u64) -> Result<(), OutOfTurn> {
        if next > self.end() {
            return Err(OutOfTurn::NeverSent(next));
        }
        while self.first < next
            && let Some(part) = self.kept.pop_front()
        {
            self.first += 1;
            self.kept_weight -= part.weight();
        }
        // What was consumed need not be said again, however the answers crossed.
        self.next_out = self.next_out.map(|at| at.max(self.first));
        Ok(())
    }

    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    fn consumed_up_to(&self) -> u64 {
        self.expected - self.pending.len() as u64
    }

    fn resume(&self, answer: bool) -> Resume {
        Resume {
            next: self.expected,
            answer,
        }
    }
}

#[cfg(test)]
mod tests;
