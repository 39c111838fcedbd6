//! What was pushed, what it changed, and how its delivery went.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ObjectRef;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    pub commit: CommitInfo,
    /// Where the platform and the agent stand with it.
    pub state: CommitState,
    /// When the platform had parsed it.
    pub parsed_ms: i64,
    pub records: Vec<ChangeRecord>,
    pub delivery: Option<Delivery>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitInfo {
    pub id: String,
    pub author: String,
    pub email: String,
    pub subject: String,
    pub time_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CommitState {
    /// Parsed; the agent has not reported on it yet.
    Wanted,
    /// The agent is at it, or retries what failed.
    Delivering,
    /// Everything it wants is applied.
    Applied,
    /// A newer commit took its place before it was applied.
    Superseded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    Create,
    Update,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeRecord {
    pub change: Change,
    pub group: String,
    pub kind: String,
    pub name: String,
    pub file: String,
}

/// The agent's report on one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    pub commit: String,
    pub started_ms: i64,
    pub finished_ms: Option<i64>,
    pub attempt: u32,
    pub objects: Vec<ObjectResult>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Applied,
    Unchanged,
    Pruned,
    /// Tried again with back-off.
    Failed,
    /// A deletion that waits for a person's word.
    Held,
    /// Belongs to somebody else, or is not allowed here.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectResult {
    pub group: String,
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub outcome: Outcome,
    pub message: Option<String>,
    /// Of an object that was repaired: what somebody else had changed.
    #[serde(default)]
    pub drifted: Vec<DriftedField>,
}

/// A field that a file sets and somebody else had changed. Never its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DriftedField {
    /// `.spec.template.spec.containers[name="web"].image`
    pub field: String,
    /// The field manager that has set it; `null` when it was taken out, which leaves no name.
    pub manager: Option<String>,
    /// When that manager last wrote the object.
    pub time_ms: Option<i64>,
}

/// An object that was not what its file says, and was put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drift {
    pub object: ObjectRef,
    pub file: Option<String>,
    pub fields: Vec<DriftedField>,
    pub repaired_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorSource {
    /// Found while parsing, by the platform.
    Parsing,
    /// Found while delivering, by the agent or the API server.
    Delivery,
}

/// One thing that is wrong with one place of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentError {
    pub source: ErrorSource,
    pub commit: String,
    pub file: String,
    pub line: u32,
    pub column: Option<u32>,
    /// Machine-readable reason, for instance `yaml-syntax` or `foreign-namespace`.
    pub code: String,
    pub object: Option<String>,
    pub message: String,
}
