//! Commands: what is carried out once, and ends in exactly one result.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Names an object in the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectRef {
    /// Empty for the core group.
    #[serde(default)]
    pub group: String,
    pub kind: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum NewCommand {
    /// Fetch and converge now.
    Sync,
    /// Roll a workload's pods, as `kubectl rollout restart` does.
    Restart {
        object: ObjectRef,
    },
    Scale {
        object: ObjectRef,
        replicas: u32,
    },
    /// Delete an object; a pod's controller makes a new one.
    DeleteObject {
        object: ObjectRef,
    },
    /// Fetch the object as the API server has it; the values of a Secret are left out.
    GetObject {
        object: ObjectRef,
    },
    /// Break off what goes on with a Helm release.
    CancelRelease {
        object: ObjectRef,
    },
    /// Try again at once what failed or was cancelled.
    RetryRelease {
        object: ObjectRef,
    },
    /// Run the tests of the release's chart.
    TestRelease {
        object: ObjectRef,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CommandState {
    /// Stored; not yet confirmed by the agent.
    Pending,
    Succeeded,
    Failed,
    Cancelled,
    /// No result came before the deadline.
    Expired,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Command {
    pub id: String,
    /// Id of the environment.
    pub environment: String,
    pub command: NewCommand,
    pub state: CommandState,
    pub message: Option<String>,
    /// What the command answered, for instance the object that was asked for.
    pub result: Option<serde_json::Value>,
    pub created_by: String,
    pub created_ms: i64,
    pub deadline_ms: i64,
    pub finished_ms: Option<i64>,
}
