//! Environments: one namespace of one cluster, and one Git repository.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EnvironmentPhase {
    /// Waiting for the agent to make the namespace, its key and its mirror.
    Preparing,
    /// The agent delivers.
    Ready,
    /// Preparation failed and is tried again; `message` says why.
    Failed,
    /// Being removed from the cluster.
    Removing,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Environment {
    pub id: String,
    /// Name of the project.
    pub project: String,
    /// Name of the cluster.
    pub cluster: String,
    pub name: String,
    pub namespace: String,
    pub phase: EnvironmentPhase,
    pub message: Option<String>,
    pub repository: Repository,
    pub commits: Commits,
    /// True when the three commits are one, no file has an error and no object has failed or is held.
    pub converged: bool,
    pub file_errors: u32,
    pub failed_objects: u32,
    /// Deletions that wait for a person's word.
    pub held: Option<HeldDeletions>,
    pub health: HealthCounts,
    /// True while the cluster is disconnected: health and objects are then as old as `last_seen_ms`.
    pub stale: bool,
    pub last_seen_ms: Option<i64>,
    pub created_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Repository {
    pub ssh_url: String,
    pub http_url: String,
    pub branch: String,
}

/// The three commits that are always shown side by side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Commits {
    /// Head of the branch.
    pub newest: Option<String>,
    /// Tag `devops-sync`: parsed by the platform.
    pub parsed: Option<String>,
    /// Tag `agent-sync`: applied by the agent, every object of it.
    pub applied: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthCounts {
    pub healthy: u32,
    pub progressing: u32,
    pub degraded: u32,
    pub suspended: u32,
    pub unknown: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldDeletions {
    pub commit: String,
    /// How many of `total` live objects the commit would delete.
    pub count: u32,
    pub total: u32,
    pub objects: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewEnvironment {
    /// A DNS label (RFC 1123), unique in the project.
    pub name: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Defaults to `PROJECT-NAME`.
    pub namespace: Option<String>,
    /// Defaults to `main`.
    pub branch: Option<String>,
}

/// What becomes of the namespace when its environment is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NamespaceFate {
    Keep,
    Delete,
}

/// A person's word that the deletions held at this commit are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfirmDeletions {
    pub commit: String,
}
