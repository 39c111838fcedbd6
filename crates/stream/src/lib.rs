//! What passes between a person's end (CLI, browser) and the agent's end of a stream: logs, exec, port-forward.
//!
//! Each stream has two WebSockets of its own, one from either end to the platform, which joins them and reads no more of a
//! [`Frame`] than it must. Without socket, clock or randomness.
//!
//! Two kinds of streams survive a break in two ways:
//!
//! - **Exec and port-forward** go through a [`Pipe`]: pieces are numbered from end to end, kept until the other end has
//!   *consumed* them, and said again after a break on either way. At most [`WINDOW`] bytes are under way in each direction, so
//!   that is also what a stalled reader costs.
//! - **Logs** are not kept by anybody: the API server has them. Each [`LogBytes`] says where in the log it ends
//!   ([`LogPosition`]), and who comes back after a break asks for what follows. TCP holds back a source whose reader stalls.

mod frame;
mod glance;
mod log;
mod pipe;
mod ticket;

pub use frame::{
    BadFrame, End, EndCode, Finished, Frame, LogNotice, LogSource, LogSourceState, MAX_FRAME, MAX_PIECE,
    Part, Peer, Piece, Resume, Seated, Size,
};
pub use glance::{Glance, glance};
pub use log::{LogBytes, LogCutter, LogPosition, Start, TimeStamps};
pub use pipe::{OutOfTurn, Pipe, WINDOW};
pub use ticket::{BadTicket, Ticket};

/// WebSocket subprotocol (RFC 6455, section 1.9) of both ends.
pub const SUBPROTOCOL: &str = "c7n.stream.v1";
/// A browser cannot send headers of its own with a WebSocket: its end names the ticket as a second subprotocol with this
/// before it. Never in the URL, which ends up in logs.
pub const TICKET_PROTOCOL: &str = "c7n.ticket.";
/// Where the agent shows its ticket, beside its credential.
pub const TICKET_HEADER: &str = "c7n-ticket";
/// Where the agent dials, below the platform's URL.
pub const AGENT_PATH: &str = "/agent/stream";
/// Where a person's end dials, below the platform's URL.
pub const CLIENT_PATH: &str = "/api/v1/streams";
