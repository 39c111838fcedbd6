//! Clusters and how they are joined.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::commands::CommandState;

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
    /// How the agent's version stands to the platform's; absent before the first session.
    pub agent_support: Option<AgentSupport>,
    pub nodes: Vec<Node>,
    pub created_ms: i64,
    pub last_seen_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AgentSupport {
    /// As new as the platform, or newer.
    Current,
    /// Older, and supported: up to two minor versions back.
    Outdated,
    /// Older than that; upgrade it.
    TooOld,
    /// It does not say a version that can be compared.
    Unknown,
}

/// The agent is to put another version in its own place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewAgentUpgrade {
    /// `REPOSITORY:TAG` or `REPOSITORY@DIGEST`
    pub image: String,
    /// How long the new version may take to report; 300 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentUpgrade {
    pub id: String,
    /// Id of the cluster.
    pub cluster: String,
    pub image: String,
    pub state: CommandState,
    pub message: Option<String>,
    pub created_by: String,
    pub created_ms: i64,
    pub deadline_ms: i64,
    pub finished_ms: Option<i64>,
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
