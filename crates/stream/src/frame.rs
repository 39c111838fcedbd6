//! What one WebSocket message holds: a byte that says what it is, and that.
//!
//! What carries people's bytes has a fixed head, so that nothing is copied to read it; the rest is protobuf, where unknown
//! fields are passed over. A frame of an unknown sort is an error: what may be said is settled when the stream is opened.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::{Enumeration, Message};

use crate::log::{LogBytes, LogPosition};

/// Bytes of people in one frame.
pub const MAX_PIECE: usize = 64 << 10;
/// The longest frame that is taken.
pub const MAX_FRAME: usize = MAX_PIECE + 256;

#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// From the platform, the first on each socket.
    Seated(Seated),
    /// From the platform: the other end came or was lost.
    Peer(Peer),
    /// From anybody: the stream is over. Nothing follows.
    End(End),
    /// From end to end, after a break: where to go on.
    Resume(Resume),
    /// From end to end: everything before this number was consumed.
    Ack(u64),
    /// From end to end, through the [`crate::Pipe`].
    Piece(Piece),
    /// From the agent: a container whose log is followed, or what became of it.
    LogSource(LogSource),
    LogBytes(LogBytes),
    /// From the agent: words for the person, beside the log.
    LogNotice(LogNotice),
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Seated {
    /// A ticket with which this end may take its seat again, once, after a break. Empty where a stream is opened anew instead.
    #[prost(bytes = "bytes", tag = "1")]
    pub resume: Bytes,
    /// How long a seat is kept after a break.
    #[prost(uint32, tag = "2")]
    pub patience_ms: u32,
}

impl std::fmt::Debug for Seated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seated")
            .field("patience_ms", &self.patience_ms)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Peer {
    #[prost(bool, tag = "1")]
    pub present: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Resume {
    /// The first piece that this end has not got.
    #[prost(uint64, tag = "1")]
    pub next: u64,
    /// Said in return for the other end's: it is not answered again.
    #[prost(bool, tag = "2")]
    pub answer: bool,
}

/// Why a stream is over.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct End {
    #[prost(enumeration = "EndCode", tag = "1")]
    pub code: i32,
    /// For people, with what to do next. Empty when all is well.
    #[prost(string, tag = "2")]
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enumeration)]
#[repr(i32)]
pub enum EndCode {
    Unspecified = 0,
    /// All was said.
    Completed = 1,
    /// This end leaves of its own will.
    Left = 2,
    /// The pod, the container or the port is not there.
    NotFound = 3,
    /// The platform or the cluster does not allow it, or no longer.
    Forbidden = 4,
    /// Nothing was typed for too long, or nothing was read.
    Idle = 5,
    /// Too many streams; try later.
    Busy = 6,
    /// The agent is away, or does not know of streams.
    ClusterAway = 7,
    /// The other end was lost and did not come back.
    PeerLost = 8,
    /// The container has no shell.
    NoShell = 9,
    /// The API server or the kubelet broke it off.
    Failed = 10,
    ProtocolError = 11,
    /// The platform or the agent stops.
    GoingAway = 12,
}

impl End {
    pub fn new(code: EndCode, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }
}

/// A numbered piece of an exec or a port-forward.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    pub seq: u64,
    pub part: Part,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    // from the person
    Input(Bytes),
    InputEnd,
    Resize(Size),
    // from the pod
    Output(Bytes),
    ErrorOutput(Bytes),
    OutputEnd,
    /// How the process ended; the last piece of an exec.
    Finished(Finished),
}

impl Part {
    /// What it weighs in the window: its bytes, and something for itself.
    pub fn weight(&self) -> usize {
        const HEAD: usize = 64;
        HEAD + match self {
            Self::Input(bytes) | Self::Output(bytes) | Self::ErrorOutput(bytes) => bytes.len(),
            Self::Finished(finished) => finished.message.len(),
            Self::InputEnd | Self::OutputEnd | Self::Resize(_) => 0,
        }
    }
}

/// Of a terminal, in characters.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Size {
    #[prost(uint32, tag = "1")]
    pub columns: u32,
    #[prost(uint32, tag = "2")]
    pub rows: u32,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Finished {
    /// As a shell has it: 128 + N for a process that signal N ended.
    #[prost(int32, tag = "1")]
    pub exit_code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct LogSource {
    /// By what [`LogBytes`] name it; from 0, counted up by the agent.
    #[prost(uint32, tag = "1")]
    pub source: u32,
    #[prost(string, tag = "2")]
    pub pod: String,
    #[prost(string, tag = "3")]
    pub pod_uid: String,
    #[prost(string, tag = "4")]
    pub container: String,
    #[prost(enumeration = "LogSourceState", tag = "5")]
    pub state: i32,
    /// Why it waits or failed.
    #[prost(string, tag = "6")]
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enumeration)]
#[repr(i32)]
pub enum LogSourceState {
    Unspecified = 0,
    /// Its bytes follow.
    Open = 1,
    /// It has not started yet.
    Waiting = 2,
    /// No more bytes come of it.
    Ended = 3,
    /// Its log cannot be read; the others go on.
    Failed = 4,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct LogNotice {
    #[prost(string, tag = "1")]
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    #[error("a frame of no bytes")]
    Empty,
    #[error("a frame of an unknown sort ({0})")]
    Unknown(u8),
    #[error("a frame that is too short")]
    Short,
    #[error("a frame that is too long ({0} bytes)")]
    Long(usize),
    #[error("a frame that cannot be read: {0}")]
    Garbled(#[from] prost::DecodeError),
}

pub(crate) mod tag {
    pub const SEATED: u8 = 1;
    pub const PEER: u8 = 2;
    pub const END: u8 = 3;
    pub const RESUME: u8 = 4;
    pub const ACK: u8 = 5;
    pub const INPUT: u8 = 16;
    pub const INPUT_END: u8 = 17;
    pub const RESIZE: u8 = 18;
    pub const OUTPUT: u8 = 32;
    pub const ERROR_OUTPUT: u8 = 33;
    pub const OUTPUT_END: u8 = 34;
    pub const FINISHED: u8 = 35;
    pub const LOG_SOURCE: u8 = 48;
    pub const LOG_BYTES: u8 = 49;
    pub const LOG_NOTICE: u8 = 50;
}

pub(crate) const SEQ: usize = 8;
pub(crate) const LOG_HEAD: usize = 4 + 8 + 4 + 8;

impl Frame {
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Seated(it) => message(tag::SEATED, it),
            Self::Peer(it) => message(tag::PEER, it),
            Self::End(it) => message(tag::END, it),
            Self::Resume(it) => message(tag::RESUME, it),
            Self::Ack(next) => numbered(tag::ACK, *next, &[]),
            Self::Piece(piece) => piece.encode(),
            Self::LogSource(it) => message(tag::LOG_SOURCE, it),
            Self::LogBytes(it) => {
                let mut out = BytesMut::with_capacity(1 + LOG_HEAD + it.bytes.len());
                out.put_u8(tag::LOG_BYTES);
                out.put_u32(it.source);
                out.put_i64(it.end.time_ns);
                out.put_u32(it.end.nth);
                out.put_u64(it.end.offset);
                out.put_slice(&it.bytes);
                out.freeze()
            }
            Self::LogNotice(it) => message(tag::LOG_NOTICE, it),
        }
    }

    pub fn decode(mut bytes: Bytes) -> Result<Self, BadFrame> {
        if bytes.len() > MAX_FRAME {
            return Err(BadFrame::Long(bytes.len()));
        }
        if bytes.is_empty() {
            return Err(BadFrame::Empty);
        }
        let sort = bytes.get_u8();
        Ok(match sort {
            tag::SEATED => Self::Seated(Seated::decode(bytes)?),
            tag::PEER => Self::Peer(Peer::decode(bytes)?),
            tag::END => Self::End(End::decode(bytes)?),
            tag::RESUME => Self::Resume(Resume::decode(bytes)?),
            tag::ACK => Self::Ack(number(&mut bytes)?),
            tag::LOG_SOURCE => Self::LogSource(LogSource::decode(bytes)?),
            tag::LOG_NOTICE => Self::LogNotice(LogNotice::decode(bytes)?),
            tag::LOG_BYTES => {
                if bytes.len() < LOG_HEAD {
                    return Err(BadFrame::Short);
                }
                Self::LogBytes(LogBytes {
                    source: bytes.get_u32(),
                    end: LogPosition {
                        time_ns: bytes.get_i64(),
                        nth: bytes.get_u32(),
                        offset: bytes.get_u64(),
                    },
                    bytes,
                })
            }
            tag::INPUT..tag::LOG_SOURCE => {
                let seq = number(&mut bytes)?;
                let part = Part::decode(sort, bytes)?;
                Self::Piece(Piece { seq, part })
            }
            unknown => return Err(BadFrame::Unknown(unknown)),
        })
    }
}

impl Piece {
    fn encode(&self) -> Bytes {
        match &self.part {
            Part::Input(bytes) => numbered(tag::INPUT, self.seq, bytes),
            Part::InputEnd => numbered(tag::INPUT_END, self.seq, &[]),
            Part::Resize(size) => numbered(tag::RESIZE, self.seq, &size.encode_to_vec()),
            Part::Output(bytes) => numbered(tag::OUTPUT, self.seq, bytes),
            Part::ErrorOutput(bytes) => numbered(tag::ERROR_OUTPUT, self.seq, bytes),
            Part::OutputEnd => numbered(tag::OUTPUT_END, self.seq, &[]),
            Part::Finished(finished) => numbered(tag::FINISHED, self.seq, &finished.encode_to_vec()),
        }
    }
}

impl Part {
    fn decode(sort: u8, bytes: Bytes) -> Result<Self, BadFrame> {
        Ok(match sort {
            tag::INPUT => Self::Input(bytes),
            tag::INPUT_END => Self::InputEnd,
            tag::RESIZE => Self::Resize(Size::decode(bytes)?),
            tag::OUTPUT => Self::Output(bytes),
            tag::ERROR_OUTPUT => Self::ErrorOutput(bytes),
            tag::OUTPUT_END => Self::OutputEnd,
            tag::FINISHED => Self::Finished(Finished::decode(bytes)?),
            unknown => return Err(BadFrame::Unknown(unknown)),
        })
    }
}

fn message(sort: u8, message: &impl Message) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + message.encoded_len());
    out.put_u8(sort);
    out.put_slice(&message.encode_to_vec());
    out.freeze()
}

fn numbered(sort: u8, number: u64, bytes: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + SEQ + bytes.len());
    out.put_u8(sort);
    out.put_u64(number);
    out.put_slice(bytes);
    out.freeze()
}

fn number(bytes: &mut Bytes) -> Result<u64, BadFrame> {
    if bytes.len() < SEQ {
        return Err(BadFrame::Short);
    }
    Ok(bytes.get_u64())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part() -> impl Strategy<Value = Part> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
        prop_oneof![
            bytes().prop_map(Part::Input),
            Just(Part::InputEnd),
            any::<(u32, u32)>().prop_map(|(columns, rows)| Part::Resize(Size { columns, rows })),
            bytes().prop_map(Part::Output),
            bytes().prop_map(Part::ErrorOutput),
            Just(Part::OutputEnd),
            (any::<i32>(), ".{0,20}")
                .prop_map(|(exit_code, message)| Part::Finished(Finished { exit_code, message })),
        ]
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
        let position =
            any::<(i64, u32, u64)>().prop_map(|(time_ns, nth, offset)| LogPosition { time_ns, nth, offset });
        prop_oneof![
            (bytes(), any::<u32>())
                .prop_map(|(resume, patience_ms)| Frame::Seated(Seated { resume, patience_ms })),
            any::<bool>().prop_map(|present| Frame::Peer(Peer { present })),
            (0..13_i32, ".{0,20}").prop_map(|(code, message)| Frame::End(End { code, message })),
            any::<(u64, bool)>().prop_map(|(next, answer)| Frame::Resume(Resume { next, answer })),
            any::<u64>().prop_map(Frame::Ack),
            (any::<u64>(), part()).prop_map(|(seq, part)| Frame::Piece(Piece { seq, part })),
            (any::<u32>(), ".{0,9}", ".{0,9}", 0..5_i32).prop_map(|(source, pod, container, state)| {
                Frame::LogSource(LogSource {
                    source,
                    pod,
                    container,
                    state,
                    ..LogSource::default()
                })
            }),
            (any::<u32>(), position, bytes()).prop_map(|(source, end, bytes)| Frame::LogBytes(LogBytes {
                source,
                end,
                bytes
            })),
            ".{0,20}".prop_map(|text| Frame::LogNotice(LogNotice { text })),
        ]
    }

    proptest! {
        #[test]
        fn every_frame_comes_out_as_it_went_in(frame in frame()) {
            prop_assert_eq!(Frame::decode(frame.encode()), Ok(frame));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Frame::decode(Bytes::from(bytes));
        }

        #[test]
        fn a_cut_frame_is_an_error_or_a_shorter_one(frame in frame(), cut in any::<prop::sample::Index>()) {
            let whole = frame.encode();
            let cut = cut.index(whole.len());
            if let Ok(other) = Frame::decode(whole.slice(..cut)) {
                prop_assert!(other.encode().len() <= cut);
            }
        }
    }

    #[test]
    fn what_is_too_long_is_refused_unread() {
        let long = Bytes::from(vec![tag::OUTPUT; MAX_FRAME + 1]);
        assert_eq!(Frame::decode(long), Err(BadFrame::Long(MAX_FRAME + 1)));
        assert_eq!(Frame::decode(Bytes::new()), Err(BadFrame::Empty));
        assert_eq!(
            Frame::decode(Bytes::from_static(&[200])),
            Err(BadFrame::Unknown(200))
        );
    }

    #[test]
    fn a_ticket_is_not_printed() {
        let seated = Seated {
            resume: Bytes::from_static(b"canary"),
            patience_ms: 1,
        };
        assert!(!format!("{seated:?}").contains("canary"));
    }
}
