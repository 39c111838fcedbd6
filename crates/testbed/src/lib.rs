//! What tests, demo and benchmarks stand on: real programs, real clusters.
//!
//! - [`programs`]: the programs of a Kubernetes cluster, built once from Go modules and kept in a cache.
//! - [`cluster`]: a cluster of one's own on this machine, or the user's cluster instead.
//! - [`stack`]: the product's own programs, driven as its users drive them.
//! - [`ends`]: what the agent's streams are between, played.
//! - [`terminal`]: a pseudo-terminal with a program in it, as a person's window is.
//!
//! Nothing here is part of the product: no crate that is shipped depends on it.

pub mod cluster;
pub mod ends;
pub mod image;
pub mod programs;
pub mod stack;
pub mod terminal;
