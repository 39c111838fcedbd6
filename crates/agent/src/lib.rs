//! The agent of one cluster.
//!
//! The folders, in the order in which a change passes through them:
//!
//! | | |
//! |---|---|
//! | [`config`] | what the agent is told when it starts |
//! | [`session`] | the one connection to the platform: dialled, kept, made again |
//! | [`environments`] | one actor per environment: namespace, key, mirror, when to converge |
//! | [`delivery`] | one pass over one commit: read, plan, apply, prune, report |
//! | [`releases`] | each `C7NHelmRelease` becomes a Helm release |
//! | [`state`] | what lives in the cluster: watched, digested, told to the platform |
//! | [`commands`] | what a person orders: restart, scale, delete, get, sync |
//! | [`cluster`] | the API server: client, identity, kinds |
//! | [`serve`] | joins them |
//!
//! The agent opens no port. While the platform is away it goes on from its own files.

pub mod cluster;
pub mod commands;
pub mod config;
pub mod delivery;
pub mod environments;
mod files;
pub mod releases;
pub mod serve;
pub mod session;
pub mod state;
