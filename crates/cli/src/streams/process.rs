//! A process in a container, with its input and output.

use anyhow::{Result, bail};
use bytes::Bytes;
use c7n_api::{NewStream, RunProcess};
use c7n_stream::{End, EndCode, Finished, MAX_PIECE, Part, Size};

use super::{Ended, Heard, Piped, Place};

/// What a small program may say at most; more is cut off.
const SMALL: usize = 64 << 10;

pub struct Process {
    piped: Piped,
    /// Lines on standard error need a carriage return.
    raw: bool,
}

/// Output is to be [`Process::consumed`] when it was written to where it belongs.
pub enum Said {
    Output(Bytes),
    ErrorOutput(Bytes),
    Finished(Finished),
    /// There is room for input again.
    Room,
}

/// What became of a small program.
pub struct Outcome {
    pub exit_code: i32,
    pub output: Vec<u8>,
    pub complaint: String,
}

impl Process {
    pub async fn start(place: &Place, wish: RunProcess) -> Result<Self> {
        let raw = wish.tty;
        let ticket = place.open(&NewStream::Exec(wish)).await?;
        Ok(Self {
            piped: Piped::open(&place.client, &ticket).await?,
            raw,
        })
    }

    /// Runs it to its end, without input.
    pub async fn run(place: &Place, wish: RunProcess) -> Result<Outcome> {
        let mut process = Self::start(place, wish).await?;
        let (mut output, mut complaint) = (Vec::new(), Vec::new());
        loop {
            match process.hear().await? {
                Said::Output(bytes) => keep(&mut output, &bytes),
                Said::ErrorOutput(bytes) => keep(&mut complaint, &bytes),
                Said::Room => continue,
                Said::Finished(finished) => {
                    process.consumed();
                    process.finish().await;
                    return Ok(Outcome {
                        exit_code: finished.exit_code,
                        output,
                        complaint: String::from_utf8_lossy(&complaint).trim().to_owned(),
                    });
                }
            }
            process.consumed();
        }
    }

    pub fn has_room(&self) -> bool {
        self.piped.has_room()
    }

    /// Only when there is room, and no more than [`MAX_PIECE`].
    pub fn feed(&mut self, bytes: Bytes) {
        debug_assert!(bytes.len() <= MAX_PIECE);
        self.piped.offer(Part::Input(bytes));
    }

    pub fn end_input(&mut self) {
        self.piped.offer(Part::InputEnd);
    }

    pub fn resize(&mut self, size: Size) {
        self.piped.offer(Part::Resize(size));
    }

    pub fn consumed(&mut self) {
        self.piped.consumed();
    }

    /// The person knows that the connection is lost.
    pub fn is_away(&self) -> bool {
        self.piped.is_away()
    }

    /// May be dropped and called again. An end before the process has finished is an error.
    pub async fn hear(&mut self) -> Result<Said> {
        loop {
            match self.piped.hear().await? {
                Heard::Part(Part::Output(bytes)) => return Ok(Said::Output(bytes)),
                Heard::Part(Part::ErrorOutput(bytes)) => return Ok(Said::ErrorOutput(bytes)),
                Heard::Part(Part::Finished(finished)) => return Ok(Said::Finished(finished)),
                Heard::Part(_) => self.piped.consumed(),
                Heard::Room => return Ok(Said::Room),
                Heard::Away(what) if self.raw => self.tell(&format!("{what} (Ctrl-C ends it)")),
                Heard::Away(what) => self.tell(&what),
                Heard::Back => self.tell("it goes on"),
                Heard::End(End { code, .. }) if code == i32::from(EndCode::Completed) => {
                    bail!("the process ended, and nobody knows how\n  next: run the command again")
                }
                Heard::End(end) => return Err(Ended(end).into()),
            }
        }
    }

    pub async fn finish(self) {
        self.piped.finish().await;
    }

    pub async fn leave(self) {
        self.piped.leave().await;
    }

    fn tell(&self, what: &str) {
        match self.raw {
            true => eprint!("\r\nc7n: {what}\r\n"),
            false => eprintln!("c7n: {what}"),
        }
    }
}

fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    let room = SMALL.saturating_sub(kept.len());
    kept.extend_from_slice(&more[..more.len().min(room)]);
}
