//! One pass over one commit: read, plan, apply, prune, report.
//!
//! PLACEHOLDER of the seam, until the real one replaces this file: the names below are what `serve.rs` uses.

use std::sync::Arc;

use c7n_git::{CommitId, Mirror};
use c7n_link::messages::{DeliveryReport, EnvironmentSpec};
use kube::Client;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::cluster::Discovery;
use crate::state::StateIndex;

pub struct DeliveryContext {
    pub client: Client,
    pub discovery: Discovery,
    pub state: StateIndex,
    /// Over all environments.
    pub apply_permits: Arc<Semaphore>,
}

/// Delivers one environment.
pub struct Delivery {}

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

impl Delivery {
    pub fn new(_: DeliveryContext, _: &EnvironmentSpec) -> Self {
        Self {}
    }

    pub async fn converge(
        &mut self,
        _: &Mirror,
        commit: &CommitId,
        spec: &EnvironmentSpec,
        _: &CancellationToken,
    ) -> Converged {
        let report = DeliveryReport {
            environment_id: spec.environment_id.clone(),
            commit: commit.to_string(),
            generation: spec.generation,
            message: "this build of the agent cannot deliver".into(),
            ..DeliveryReport::default()
        };
        Converged {
            report,
            retry: RetryNeed::Waits,
        }
    }
}
