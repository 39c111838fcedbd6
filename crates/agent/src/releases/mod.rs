//! Application instances: each `C7NHelmRelease` becomes a real Helm release, and stays one (R13).
//!
//! In: the objects, as the watch shows them; the state of Helm's storage, from the labels of its Secrets; orders to
//! cancel, retry or test. Out: operations of the [`HelmEngine`](c7n_helm::HelmEngine), and the objects' status. Never: a
//! Helm call for a release that is as it is wanted; an object in a namespace that is no environment of this agent.
//!
//! Everything that must outlive the agent is in the cluster: the object's status, and labels in Helm's storage.
//!
//! - `crd`: the definition
//! - `spec`, `status`, `past`, `release`, `history`, `memory`: what is wanted, told, stored and remembered (pure)
//! - `plan`: what is next for one release (pure)
//! - `watch`, `table`, `eyes`: what the API server shows
//! - `controller`: whose turn it is
//! - `work`: one step for one release; `hand`: what it works with
//! - `manifest`, `sizes`, `drift`: the objects of a release, their sizes, and what others did to them
//! - `source`, `own_repository`, `kubeconfig`: charts, and how the workers reach the cluster

mod controller;
pub mod crd;
mod drift;
mod eyes;
mod hand;
mod history;
mod kubeconfig;
mod manifest;
mod memory;
mod orders;
mod own_repository;
mod past;
mod plan;
mod program;
mod release;
mod sizes;
mod source;
mod spec;
mod start;
mod status;
mod table;
mod watch;
mod work;

pub use eyes::Eyes;
pub use orders::Orders;
pub use source::{ChartSource, Fetched, Signature, SourceError, Wanted};
pub use start::{Ground, keep, start};
