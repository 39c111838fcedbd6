//! Cuts a log with timestamps, as the kubelet gives it out, into bytes to show and the position that they end at.
//!
//! In: the kubelet's text in pieces of any size. Out: the lines without their times (or with), from where a reader left off.
//! Never: a line kept in memory, whatever its length, or an allocation for a line.
//!
//! When the kubelet cannot go on, it writes its reason behind the last line, with neither time nor line break: words about
//! the log, which are no part of it.

use bytes::{BufMut, Bytes, BytesMut};

use super::LogPosition;
use super::stamp::{self, Stamp};

/// The kubelet says no more than a sentence.
const WORDS: usize = 1 << 10;

/// Does each line begin with its time?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeStamps {
    Stripped,
    Kept,
}

/// What of the log is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Start {
    /// What is up to here came before.
    pub after: Option<LogPosition>,
    /// Nothing older, in nanoseconds since 1970.
    pub since_ns: Option<i64>,
}

#[derive(Debug)]
pub struct LogCutter {
    stamps: TimeStamps,
    start: Start,
    /// The beginning of a line of which it is not known yet whether it is a time.
    head: [u8; stamp::MAX],
    head_length: usize,
    place: Place,
    /// A line without a time, which may be the kubelet's own words.
    aside: BytesMut,
    /// Newest time, and how many lines came since it did. None before the first time.
    line: Option<(i64, u32)>,
    /// Bytes of this line so far, with those that are not shown and those of lines without a time that follow it.
    offset: u64,
    /// Its first line break came.
    broken: bool,
    /// ... and nothing after that.
    whole: bool,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    AtHead,
    InLine,
    Aside,
}

/// What becomes of the bytes of this line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Shown,
    /// All of them.
    Dropped,
    /// Those up to this offset came before.
    After(u64),
    /// Those up to the line break came before.
    AfterBreak,
}

impl LogCutter {
    pub fn new(stamps: TimeStamps, start: Start) -> Self {
        Self {
            stamps,
            start,
            head: [0; stamp::MAX],
            head_length: 0,
            place: Place::AtHead,
            aside: BytesMut::new(),
            line: None,
            offset: 0,
            broken: false,
            whole: false,
            // The rest of a line that began before what is wanted.
            fate: if start == Start::default() {
                Fate::Shown
            } else {
                Fate::Dropped
            },
        }
    }

    /// Where in the log the last byte is that was shown or passed over.
    pub fn position(&self) -> LogPosition {
        let (time_ns, nth) = self.line.unwrap_or((self.start.since_ns.unwrap_or_default(), 0));
        let offset = if self.whole {
            LogPosition::WHOLE
        } else {
            self.offset
        };
        LogPosition { time_ns, nth, offset }
    }

    /// Takes of `bytes` what fits, until `out` holds `limit` bytes (or a little more), and says how many it took.
    pub fn push(&mut self, bytes: &[u8], out: &mut BytesMut, limit: usize) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() && out.len() < limit {
            rest = match self.place {
                Place::AtHead => self.begin(rest, out),
                Place::InLine => self.go_on(rest, out, limit),
                Place::Aside => self.put_aside(rest, out),
            };
        }
        bytes.len() - rest.len()
    }

    /// The log is over. A line without a time that was not ended is what the kubelet had to say; empty when it said nothing.
    pub fn finish(&mut self) -> Bytes {
        let head = std::mem::take(&mut self.head_length);
        self.aside.put_slice(&self.head[..head]);
        self.aside.split().freeze()
    }

    fn begin<'a>(&mut self, bytes: &'a [u8], out: &mut BytesMut) -> &'a [u8] {
        if self.head_length == 0 {
            match stamp::read(bytes) {
                Stamp::Read { time_ns, length } => {
                    self.begin_line(time_ns, &bytes[..length], out);
                    return &bytes[length..];
                }
                Stamp::None => {
                    self.place = Place::Aside;
                    return bytes;
                }
                Stamp::Cut => {}
            }
        }
        // Rarely more than once per piece: a time that was cut.
        let taken = bytes.len().min(stamp::MAX - self.head_length);
        let before = self.head_length;
        self.head[before..before + taken].copy_from_slice(&bytes[..taken]);
        let head = self.head;
        match stamp::read(&head[..before + taken]) {
            Stamp::Read { time_ns, length } => {
                self.head_length = 0;
                self.begin_line(time_ns, &head[..length], out);
                &bytes[length - before..]
            }
            Stamp::Cut => {
                self.head_length = before + taken;
                &bytes[taken..]
            }
            Stamp::None => {
                self.place = Place::Aside;
                self.aside.put_slice(&head[..before]);
                self.head_length = 0;
                bytes
            }
        }
    }

    /// Until it is known to be a line: it was ended, or is too long for words.
    fn put_aside<'a>(&mut self, bytes: &'a [u8], out: &mut BytesMut) -> &'a [u8] {
        let length = bytes.len().min(WORDS - self.aside.len());
        let line_break = memchr::memchr(b'\n', &bytes[..length]);
        let (taken, rest) = bytes.split_at(line_break.unwrap_or(length));
        self.aside.put_slice(taken);
        if line_break.is_some() || self.aside.len() >= WORDS {
            self.place = Place::InLine;
            let line = self.aside.split();
            self.show(&line, out);
        }
        rest
    }

    fn begin_line(&mut self, time_ns: i64, stamp: &[u8], out: &mut BytesMut) {
        let line = match self.line {
            Some((newest, nth)) if time_ns <= newest => (newest, nth.saturating_add(1)),
            _ => (time_ns, 1),
        };
        self.line = Some(line);
        (self.offset, self.broken, self.whole) = (0, false, false);
        self.place = Place::InLine;
        self.fate = self.fate_of(time_ns, line);
        if self.fate == Fate::Shown && self.stamps == TimeStamps::Kept {
            out.put_slice(stamp);
        }
    }

    fn fate_of(&self, time_ns: i64, line: (i64, u32)) -> Fate {
        if self.start.since_ns.is_some_and(|since| time_ns < since) {
            return Fate::Dropped;
        }
        let Some(after) = self.start.after else {
            return Fate::Shown;
        };
        match line.cmp(&(after.time_ns, after.nth)) {
            std::cmp::Ordering::Less => Fate::Dropped,
            std::cmp::Ordering::Greater => Fate::Shown,
            std::cmp::Ordering::Equal if after.offset == LogPosition::WHOLE => Fate::AfterBreak,
            std::cmp::Ordering::Equal => Fate::After(after.offset),
        }
    }

    fn go_on<'a>(&mut self, bytes: &'a [u8], out: &mut BytesMut, limit: usize) -> &'a [u8] {
        let line_break = memchr::memchr(b'\n', bytes);
        let whole = line_break.map_or(bytes.len(), |at| at + 1);
        let length = whole.min(self.hidden(whole) + (limit - out.len()));
        self.show(&bytes[..length], out);
        if line_break.is_some() && length == whole {
            self.place = Place::AtHead;
            self.whole = !std::mem::replace(&mut self.broken, true);
            if self.fate == Fate::AfterBreak {
                self.fate = Fate::Shown;
            }
        }
        &bytes[length..]
    }

    fn show(&mut self, bytes: &[u8], out: &mut BytesMut) {
        out.put_slice(&bytes[self.hidden(bytes.len())..]);
        self.offset += bytes.len() as u64;
        self.whole = false;
    }

    /// How many of the next bytes of this line are not shown.
    fn hidden(&self, bytes: usize) -> usize {
        match self.fate {
            Fate::Shown => 0,
            Fate::Dropped | Fate::AfterBreak => bytes,
            Fate::After(offset) => {
                usize::try_from(offset.saturating_sub(self.offset)).map_or(bytes, |hidden| hidden.min(bytes))
            }
        }
    }
}

#[cfg(test)]
mod tests;
