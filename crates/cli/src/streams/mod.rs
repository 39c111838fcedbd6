//! The person's end of logs, exec and port-forward (`docs/decisions/0012-streams.md`).
//!
//! | | |
//! |---|---|
//! | [`Place`] | an environment; opens streams in it, and finds what a name on the command line means |
//! | `socket` | one WebSocket: frames in and out, silence noticed |
//! | [`Piped`] | an exec or a port-forward that survives breaks |
//! | [`Logs`] | logs that go on after a break where they were |
//! | [`Process`] | a process whose input and output are this program's own bytes |
//! | [`Stdin`], [`Writer`] | standard input and output without holding up the rest |
//! | [`Raw`] | the terminal, raw, and back to what it was whatever happens |
//!
//! In: wishes and bytes. Out: bytes and words for standard error. Never: a ticket in a URL, an argument or a message.

mod breaks;
mod ended;
mod logs;
mod piped;
mod place;
mod process;
mod signals;
mod socket;
mod stdin;
mod terminal;
mod writer;

pub use ended::Ended;
pub use logs::{Line, Logs};
pub use piped::{Heard, Piped};
pub use place::{Place, Target};
pub use process::{Process, Said};
pub use signals::Signals;
pub use stdin::Stdin;
pub use terminal::{Raw, size, window_changes};
pub use writer::{Out, Writer, is_broken_pipe};
