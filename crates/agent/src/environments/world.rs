//! What an environment needs of the rest of the agent, as one trait, so that its actor can be tried without a cluster.

use std::path::Path;
use std::sync::Arc;

use c7n_git::{CommitId, Mirror, Remote};
use c7n_link::messages::{DeliveryReport, EnvironmentSpec};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::id::EnvironmentId;
use super::schedule::PassEnd;
use crate::cluster::Kinds;

/// How one pass over one commit ended.
#[derive(Debug, Clone)]
pub struct Pass {
    pub report: DeliveryReport,
    pub end: PassEnd,
}

/// Delivers commits of one environment, one after the other.
pub trait Deliver: Send + 'static {
    /// `cancel` is for the end of the agent or of the environment; what has begun is ended, not broken off.
    fn converge(
        &mut self,
        mirror: &Mirror,
        commit: CommitId,
        spec: &EnvironmentSpec,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Pass> + Send;
}

/// The namespace is not ready, or not gone; `0` says why and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle(pub String);

pub trait World: Send + Sync + 'static {
    type Delivery: Deliver;

    /// Makes the namespace, or takes over one that nobody owns.
    fn prepare_namespace(&self, spec: &EnvironmentSpec) -> impl Future<Output = Result<(), Obstacle>> + Send;

    /// Deletes what the environment has in the cluster, as its specification asks. Repeated until it goes well.
    fn clear(&self, spec: &EnvironmentSpec) -> impl Future<Output = Result<(), Obstacle>> + Send;

    /// The repository, with the settings that hold now.
    fn remote(&self, spec: &EnvironmentSpec, private_key: &Path) -> Remote;

    /// Begins to watch the environment. The answer is notified when a managed object is not what it was made.
    fn watch(&self, id: &EnvironmentId, spec: &EnvironmentSpec) -> Arc<Notify>;

    fn unwatch(&self, id: &EnvironmentId);

    fn delivery(&self, id: &EnvironmentId, spec: &EnvironmentSpec) -> Self::Delivery;

    /// Changes when the cluster knows other kinds than before.
    fn kinds(&self) -> watch::Receiver<Arc<Kinds>>;
}
