//! The person's end of a stream against a platform that breaks it where a test wants it.
#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions only, and these helpers belong to tests"
)]

mod breaks;
mod colours;
mod exec;
mod fake;
mod forward;
mod logs;
mod pod;
mod program;
