//! Application instances: each `C7NHelmRelease` becomes a real Helm release, and stays one (R13).
//!
//! In: the objects, as the watch shows them; the state of Helm's storage, from the labels of its Secrets; orders to
//! cancel, retry or test. Out: operations of the [`HelmEngine`](c7n_helm::HelmEngine), and the objects' status. Never: a
//! Helm call for a release that is as it is wanted; an object in a namespace that is no environment of this agent.
//!
//! - `crd`: the definition
//! - `spec`, `status`, `history`, `memory`: what is wanted, told, stored and remembered (pure)
//! - `plan`: what is next for one release (pure)

mod controller;
pub mod crd;
mod drift;
mod eyes;
mod hand;
mod history;
mod manifest;
mod memory;
mod plan;
mod release;
mod sizes;
mod source;
mod spec;
mod status;
mod table;
mod watch;
mod work;
