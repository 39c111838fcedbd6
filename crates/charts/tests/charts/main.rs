//! What the crate promises: pure parts on made input, clients against real servers.

#![allow(
    clippy::unwrap_used,
    reason = "tests: helpers outside test functions count as well"
)]

mod archive;
mod index;
mod pack;
mod registry;
mod repository;
mod values;
