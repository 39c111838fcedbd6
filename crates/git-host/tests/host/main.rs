//! The ordinary `git` and OpenSSH against the real host, over loopback.
#![allow(
    clippy::unwrap_used,
    reason = "tests; clippy sees only the #[test] functions as such"
)]

mod faults;
mod http;
mod mirror;
mod references;
mod ssh;
mod strangers;
mod support;
mod timings;
