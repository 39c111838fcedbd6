//! The dialogue between the agent and the platform.
//!
//! One WebSocket, dialled by the agent, carries binary [`messages::Frame`]s. A [`Session`] is one side's half of the dialogue,
//! as a state machine without socket, clock or randomness: bytes and times go in, [`Output`]s come out, and a thin shell
//! carries them to a socket and a database. So thousands of seeded runs with cuts, crashes and late words can be played in a
//! test in seconds (`tests/simulation.rs`).
//!
//! What is promised:
//!
//! - **Level, not edge.** Everything that crosses has a [`messages::Topic`]; a newer item takes the place of an older one with
//!   the same topic. The [`Outbox`] is therefore bounded by what there is to say, not by how long nobody listened.
//! - **Nothing counts as sent until it is stored.** An item leaves the outbox when its acknowledgement came, and a side
//!   acknowledges after its database committed. What was under way at a break is said again.
//! - **Epochs.** The platform numbers the sessions; a late word of one cannot touch the next.
//! - **Digests.** After a break the two sides compare one digest per environment and kind ([`digest`], [`reconcile`]); only
//!   what differs travels.
//! - **Nothing is dropped for its size.** Big messages travel in chunks, compressed; both sides cap what they unpack, and
//!   what is beyond the cap is told in its place.

pub mod backoff;
pub mod digest;
pub mod messages;
pub mod outbox;
pub mod reconcile;
pub mod session;

pub use backoff::Backoff;
pub use outbox::Outbox;
pub use session::{Config, Output, Oversized, ProtocolError, Role, Session};

/// WebSocket subprotocol (RFC 6455, section 1.9).
pub const SUBPROTOCOL: &str = "c7n.agent.v1";
/// Versions of the dialogue that this build speaks.
pub const PROTOCOL_MIN: u32 = 1;
pub const PROTOCOL_MAX: u32 = 1;

/// What a side may do beyond the first version of the dialogue is said by name in the first message: so that what the
/// other does not know is not asked of it.
///
/// The agent takes another credential over a live session.
pub const FEATURE_NEW_CREDENTIAL: &str = "new-credential";
/// The agent can be told to put another version in its own place.
pub const FEATURE_UPGRADE: &str = "upgrade";

/// The agent opens logs, exec and port-forward (`c7n-stream`).
pub const FEATURE_STREAMS: &str = "streams";

/// Everything that this build can do.
pub fn features() -> Vec<String> {
    [FEATURE_NEW_CREDENTIAL, FEATURE_UPGRADE, FEATURE_STREAMS]
        .map(str::to_owned)
        .to_vec()
}

/// The newest version that both sides speak.
pub fn negotiate(hello: &messages::Hello) -> Option<u32> {
    let newest = hello.protocol_max.min(PROTOCOL_MAX);
    (newest >= hello.protocol_min && newest >= PROTOCOL_MIN).then_some(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_is_chosen() {
        let hello = |min, max| messages::Hello {
            protocol_min: min,
            protocol_max: max,
            ..messages::Hello::default()
        };
        assert_eq!(negotiate(&hello(1, 7)), Some(1));
        assert_eq!(negotiate(&hello(2, 7)), None);
        assert_eq!(negotiate(&hello(0, 0)), None);
    }
}
