//! What the platform is told of the cluster as a whole: version, nodes, kinds. Said when it has changed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use c7n_link::messages as words;
use c7n_link::messages::Say;
use tokio_util::sync::CancellationToken;

use super::access::{ClusterAccess, ClusterError};
use super::discovery::Discovery;
use super::kinds::{Kinds, Scope};
use crate::session::Outgoing;

/// Nodes are looked at this often.
const CLOCK: Duration = Duration::from_secs(30);

/// A cheap handle.
#[derive(Clone)]
pub struct ClusterReport {
    access: ClusterAccess,
    discovery: Discovery,
    outgoing: Outgoing,
    last: Arc<Mutex<words::ClusterInfo>>,
}

impl ClusterReport {
    pub async fn start(access: ClusterAccess, discovery: Discovery, outgoing: Outgoing) -> Self {
        let report = Self {
            access,
            discovery,
            outgoing,
            last: Arc::default(),
        };
        report.look().await;
        report
    }

    /// What was seen at the last look.
    pub fn info(&self) -> words::ClusterInfo {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The platform may have lost what it knew.
    pub fn session_opened(&self) {
        self.outgoing.post(Say::Kinds(kinds(&self.discovery.kinds())));
    }

    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut changes = self.discovery.changes();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Ok(()) = changes.changed() => {
                    let known = kinds(&changes.borrow_and_update());
                    self.outgoing.post(Say::Kinds(known));
                }
                () = tokio::time::sleep(CLOCK) => {
                    if self.look().await {
                        self.outgoing.post(Say::Cluster(self.info()));
                    }
                }
            }
        }
    }

    /// Looks at version and nodes; tells whether they are other than before.
    async fn look(&self) -> bool {
        match self.seen().await {
            Ok(seen) => {
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                let changed = *last != seen;
                *last = seen;
                changed
            }
            Err(error) => {
                tracing::warn!(%error, "the nodes of the cluster could not be read");
                false
            }
        }
    }

    async fn seen(&self) -> Result<words::ClusterInfo, ClusterError> {
        let kubernetes_version = self.access.version().await?;
        // An agent that may see its namespaces only still serves them.
        let nodes = match self.access.nodes().await {
            Err(error) if error.is_status(403) => Vec::new(),
            nodes => nodes?,
        };
        let nodes = nodes.into_iter();
        let nodes = nodes
            .map(|node| words::Node {
                name: node.name,
                ready: node.ready,
                kubelet_version: node.kubelet_version,
            })
            .collect();
        Ok(words::ClusterInfo {
            kubernetes_version,
            nodes,
        })
    }
}

fn kinds(known: &Kinds) -> words::Kinds {
    let kind = |(name, info): (&super::KindName, &super::KindInfo)| words::Kind {
        group: name.group.clone(),
        version: info.resource.version.clone(),
        kind: name.kind.clone(),
        namespaced: info.scope == Scope::Namespaced,
    };
    words::Kinds {
        kinds: known.versions().map(kind).collect(),
    }
}
