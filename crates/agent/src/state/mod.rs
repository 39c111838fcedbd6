//! What lives in the cluster: watched, digested, told to the platform.
//!
//! PLACEHOLDER of the seam, until the real one replaces this file: the names below are what `serve.rs` uses.

use std::sync::Arc;

use c7n_link::messages::{DetailRequest, ObjectRequest};
use kube::Client;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::Discovery;
use crate::environments::EnvironmentId;
use crate::session::Outgoing;

/// A cheap handle.
#[derive(Clone)]
pub struct StateIndex {}

impl StateIndex {
    pub fn new(_: Client, _: Discovery, _: Outgoing, _: &TaskTracker, _: CancellationToken) -> Self {
        Self {}
    }

    /// The answer is notified when a managed object of the environment is not what it was made.
    pub fn environment_added(&self, _: &EnvironmentId, _namespace: &str) -> Arc<Notify> {
        Arc::default()
    }

    pub fn environment_removed(&self, _: &EnvironmentId) {}

    pub fn session_opened(&self) {}

    pub fn detail_requested(&self, _: DetailRequest) {}

    pub fn object_requested(&self, _: ObjectRequest) {}
}
