//! One pass over one commit: read, plan, apply, prune, report.
//!
//! In: a commit of the mirror, the specification, what lives. Out: writes by server-side apply, deletions, a report. A
//! pass over an environment that is as it should be writes nothing and asks nobody. Never: a write outside of the
//! environment's namespace but of the kinds that its project allows, a field that somebody else owns by right, a
//! deletion that looks like an accident.
//!
//! In the order of a pass:
//!
//! - `read`: from the commit to the wanted objects
//! - `live`: what there is
//! - (the plan itself is [`c7n_manifests::plan`])
//! - `applyset`: the environment's inventory in the cluster
//! - `wave`, `apply`, `conflict`: the writes
//! - `prune`: the deletions
//! - `report`, `failure`: what is said of it all

mod apply;
mod applyset;
mod conflict;
mod converge;
mod failure;
mod live;
mod prune;
mod read;
mod report;
mod wave;

use std::sync::Arc;

use c7n_link::messages::DeliveryReport;
use kube::Client;
use tokio::sync::Semaphore;

use crate::cluster::Discovery;
use crate::state::StateIndex;

pub(crate) use conflict::TakenBack;
pub use converge::Delivery;

/// What deliveries share.
pub struct DeliveryContext {
    pub client: Client,
    pub discovery: Discovery,
    pub state: StateIndex,
    /// Over all environments.
    pub apply_permits: Arc<Semaphore>,
}

pub struct Converged {
    pub report: DeliveryReport,
    pub retry: RetryNeed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryNeed {
    /// Everything of the commit is applied: `agent-sync` may move.
    Complete,
    /// Something is held, refused or has a file error: nothing changes before a new commit or a person's word.
    Waits,
    /// Something failed that may go well later.
    Again,
}
