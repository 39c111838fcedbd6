//! The platform server.
//!
//! The folders in the order of one change: a push reaches the Git host (`c7n-git-host`, which asks `access`); `intake` parses
//! it; `fleet` tells the agent and takes in what it reports, by the rules of `environments`; `store` keeps all of it;
//! `instances` folds the objects of an environment into what people call an application, and `api` shows it. `catalogue` has the
//! charts, and `deploy` makes commits of what is asked for by a call; `agent_chart` hands out what joins a cluster. `streams` joins
//! people to containers: logs, exec, port-forward. `start` wires them: it decides nothing.

pub mod access;
pub mod agent_chart;
pub mod api;
mod catalogue;
pub mod config;
mod deploy;
mod environments;
mod fleet;
mod instances;
mod intake;
mod names;
pub mod repositories;
mod start;
pub mod store;
pub mod streams;
mod threshold;

pub use access::first_run::FirstRun;
pub use config::Config;
pub use start::{Platform, StartError, reset_password};
