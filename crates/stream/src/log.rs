//! Where in a container's log one is, and how the kubelet's text becomes stretches that say where they end.

mod cut;
mod stamp;

use bytes::Bytes;

pub use cut::{LogCutter, Start, TimeStamps};

/// A place in the log of one container. The kubelet stamps each line with a time (RFC 3339, nanoseconds); several lines can
/// have the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogPosition {
    /// Time of the line, in nanoseconds since 1970.
    pub time_ns: i64,
    /// The how many-th line with this time, from 1. A line that came late (standard output and standard error are stamped beside
    /// each other) counts as one of the newest time before it, so that positions grow from line to line.
    pub nth: u32,
    /// Bytes of this line that came, its line break included. [`LogPosition::WHOLE`] when all of it came.
    pub offset: u64,
}

impl LogPosition {
    pub const WHOLE: u64 = u64::MAX;
}

/// A stretch of the log of one source, and where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBytes {
    /// The number that a `LogSource` frame gave to the container.
    pub source: u32,
    pub end: LogPosition,
    /// As the container wrote them: any bytes, lines cut anywhere.
    pub bytes: Bytes,
}
