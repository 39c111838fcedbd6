//! What who joins two ends must know of a frame, without reading it: whose it is, its number, how many bytes of people it has.

use crate::frame::{BadFrame, LOG_HEAD, MAX_FRAME, SEQ, tag};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glance {
    /// `Seated` or `Peer`: only the platform says these.
    OfPlatform,
    End,
    /// `Resume` or `Ack`: the two ends agree where they are.
    Turn,
    /// Of an exec or a port-forward, from the person.
    FromPerson {
        seq: u64,
        bytes: usize,
    },
    /// Of an exec or a port-forward, from the pod.
    FromPod {
        seq: u64,
        bytes: usize,
    },
    /// How a process ended.
    Finished {
        seq: u64,
    },
    LogBytes {
        bytes: usize,
    },
    /// `LogSource` or `LogNotice`.
    LogWords,
}

/// Looks at the head of an encoded frame.
pub fn glance(frame: &[u8]) -> Result<Glance, BadFrame> {
    if frame.len() > MAX_FRAME {
        return Err(BadFrame::Long(frame.len()));
    }
    let (sort, rest) = frame.split_first().ok_or(BadFrame::Empty)?;
    Ok(match *sort {
        tag::SEATED | tag::PEER => Glance::OfPlatform,
        tag::END => Glance::End,
        tag::RESUME => Glance::Turn,
        tag::ACK => numbered(rest, |_, _| Glance::Turn)?,
        tag::INPUT | tag::INPUT_END | tag::RESIZE => {
            let text = *sort == tag::INPUT;
            numbered(rest, |seq, bytes| Glance::FromPerson {
                seq,
                bytes: if text { bytes } else { 0 },
            })?
        }
        tag::OUTPUT | tag::ERROR_OUTPUT | tag::OUTPUT_END => {
            numbered(rest, |seq, bytes| Glance::FromPod { seq, bytes })?
        }
        tag::FINISHED => numbered(rest, |seq, _| Glance::Finished { seq })?,
        tag::LOG_BYTES => Glance::LogBytes {
            bytes: rest.len().checked_sub(LOG_HEAD).ok_or(BadFrame::Short)?,
        },
        tag::LOG_SOURCE | tag::LOG_NOTICE => Glance::LogWords,
        unknown => return Err(BadFrame::Unknown(unknown)),
    })
}

fn numbered(rest: &[u8], with: impl FnOnce(u64, usize) -> Glance) -> Result<Glance, BadFrame> {
    let (seq, bytes) = rest.split_first_chunk::<SEQ>().ok_or(BadFrame::Short)?;
    Ok(with(u64::from_be_bytes(*seq), bytes.len()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        End, EndCode, Finished, Frame, LogBytes, LogNotice, LogPosition, Part, Peer, Piece, Resume, Size,
    };

    #[test]
    fn a_glance_tells_the_same_as_reading_does() {
        let piece = |part| Frame::Piece(Piece { seq: 7, part });
        let size = Size {
            columns: 80,
            rows: 24,
        };
        let log = LogBytes {
            source: 1,
            end: LogPosition::default(),
            bytes: Bytes::from_static(b"line\n"),
        };
        let finished = Finished {
            exit_code: 3,
            message: "no".into(),
        };
        let text = || Bytes::from_static(b"abc");
        let cases = [
            (Frame::Peer(Peer { present: true }), Glance::OfPlatform),
            (Frame::End(End::new(EndCode::Left, "")), Glance::End),
            (
                Frame::Resume(Resume {
                    next: 1,
                    answer: true,
                }),
                Glance::Turn,
            ),
            (Frame::Ack(9), Glance::Turn),
            (
                piece(Part::Input(text())),
                Glance::FromPerson { seq: 7, bytes: 3 },
            ),
            (piece(Part::InputEnd), Glance::FromPerson { seq: 7, bytes: 0 }),
            (piece(Part::Resize(size)), Glance::FromPerson { seq: 7, bytes: 0 }),
            (piece(Part::Output(text())), Glance::FromPod { seq: 7, bytes: 3 }),
            (
                piece(Part::ErrorOutput(text())),
                Glance::FromPod { seq: 7, bytes: 3 },
            ),
            (piece(Part::OutputEnd), Glance::FromPod { seq: 7, bytes: 0 }),
            (piece(Part::Finished(finished)), Glance::Finished { seq: 7 }),
            (Frame::LogBytes(log), Glance::LogBytes { bytes: 5 }),
            (Frame::LogNotice(LogNotice { text: "x".into() }), Glance::LogWords),
        ];
        for (frame, seen) in cases {
            assert_eq!(glance(&frame.encode()), Ok(seen), "{frame:?}");
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for sort in 0..=u8::MAX {
            for length in [0, 1, 7] {
                let mut frame = vec![sort];
                frame.resize(1 + length, 0);
                if glance(&frame).is_err() {
                    assert!(Frame::decode(Bytes::from(frame.clone())).is_err(), "{frame:?}");
                }
            }
        }
        assert_eq!(glance(&[]), Err(BadFrame::Empty));
        assert_eq!(
            glance(&vec![tag::OUTPUT; MAX_FRAME + 1]),
            Err(BadFrame::Long(MAX_FRAME + 1))
        );
    }
}
