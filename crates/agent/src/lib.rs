//! The agent of one cluster.
//!
//! The folders, in the order in which a change passes through them:
//!
//! | | |
//! |---|---|
//! | [`config`] | what the agent is told when it starts |
//! | [`start`] | waits until this copy leads; joins what follows |
//! | [`lease`] | which copy works, and that no other writes |
//! | [`health`] | what the kubelet asks |
//! | [`session`] | the one connection to the platform: dialled, kept, made again |
//! | [`environments`] | one actor per environment: namespace, key, mirror, when to converge |
//! | [`delivery`] | one pass over one commit: read, plan, apply, prune, report |
//! | [`releases`] | each `C7NHelmRelease` becomes a Helm release |
//! | [`state`] | what lives in the cluster: watched, digested, told to the platform |
//! | [`commands`] | what a person orders: restart, scale, delete, get, sync |
//! | [`streams`] | logs, exec and port-forward: each a WebSocket of its own to the platform |
//! | [`upgrade`] | another version in its own place, and back |
//! | [`cluster`] | the API server: client, identity, kinds |
//! | [`serve`] | joins them, in the copy that leads |
//!
//! The agent opens no port but, if told so, one for the kubelet. While the platform is away it goes on from its own files.

pub mod cluster;
pub mod commands;
pub mod config;
pub mod delivery;
pub mod environments;
mod files;
pub mod health;
pub mod lease;
pub mod releases;
pub mod serve;
pub mod session;
pub mod start;
pub mod state;
pub mod streams;
pub mod upgrade;
