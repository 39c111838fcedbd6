//! The REST API, asked over HTTP, of a real platform with a data folder of its own.

#![allow(
    clippy::unwrap_used,
    reason = "clippy knows test functions, but not what they share"
)]

mod access;
mod apps;
mod chart;
mod clusters;
mod commands;
mod environments;
mod events;
mod git;
mod lists;
mod openapi;
mod projects;
mod server;
mod start;
