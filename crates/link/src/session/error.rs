/// The peer said what cannot be. The session closes with these words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("a frame cannot be decoded: {0}")]
    Malformed(String),
    #[error("a {what} of {size} bytes is more than the {limit} that are allowed")]
    TooBig {
        what: &'static str,
        size: usize,
        limit: usize,
    },
    #[error("frame {got} came where {expected} was due")]
    OutOfOrder { expected: u64, got: u64 },
    #[error("frame {ack} is acknowledged and was never sent")]
    AckOfNothing { ack: u64 },
    #[error("{0} is not to be said now")]
    Unexpected(&'static str),
}
