//! The way of a change through the platform: pushed with `git`, parsed, told to an agent, and what the agent reports. The
//! platform is a real one; the agent is the link's own state machine over a real WebSocket ([`fake_agent::FakeAgent`]).

#![allow(
    clippy::unwrap_used,
    reason = "clippy knows test functions, but not what they share"
)]

#[allow(dead_code, reason = "the other tests of the platform use all of it")]
#[path = "../api/chart.rs"]
mod chart;
mod commands;
mod deliveries;
mod deployments;
mod fake_agent;
mod instances;
mod pushes;
mod repository;
#[allow(dead_code, reason = "the other tests of the platform use all of it")]
#[path = "../api/server.rs"]
mod server;
mod sessions;
mod shop;
mod states;
mod streams;
mod upgrades;
