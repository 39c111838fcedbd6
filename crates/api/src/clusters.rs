//! Clusters and how they are joined.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterState {
    /// No agent has ever connected.
    Waiting,
    /// An agent is connected.
    Running,
    /// An agent was connected and is not now; what is shown of this cluster is as old as `last_seen_ms`.
    Disconnected,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cluster {
    pub id: String,
    /// Name of the project.
    pub project: String,
    pub name: String,
    pub state: ClusterState,
    /// Why the last attempt of an agent to connect was refused, if it was.
    pub message: Option<String>,
    pub kubernetes_version: Option<String>,
    pub agent_version: Option<String>,
    pub nodes: Vec<Node>,
    pub created_ms: i64,
    pub last_seen_ms: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    pub name: String,
    pub ready: bool,
    pub kubelet_version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewCluster {
    /// A DNS label (RFC 1123), unique in the project.
    pub name: String,
}

/// What joins a cluster. The token is shown this once and works for one agent; asking again makes a new one.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Activation {
    /// To be pasted into a shell that has access to the cluster.
    pub command: String,
    /// WebSocket URL that the agent dials.
    pub connect: String,
    pub token: String,
    pub cluster_id: String,
    pub choerodon_id: String,
    pub expires_ms: i64,
}
