//! The stream of changes: server-sent events at `/api/v1/events`.
//!
//! Each event has an id that grows; a reader that was away sends the last id that it saw, as `Last-Event-ID` or
//! `?since=`, and gets what it missed. If that is no longer kept it gets `reset` and reads the lists anew.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{App, Cluster, Command, Environment, HistoryEntry, Instance, LiveObject, Vitals};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    pub id: i64,
    /// Id of the project.
    pub project: Option<String>,
    /// Id of the environment.
    pub environment: Option<String>,
    pub time_ms: i64,
    #[serde(flatten)]
    pub change: EventChange,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", content = "data", rename_all = "kebab-case")]
pub enum EventChange {
    /// What the reader missed is no longer kept: read the lists anew.
    Reset,
    Cluster(Box<Cluster>),
    ClusterDeleted {
        id: String,
    },
    /// An application was made, or what is published of it has changed.
    App(Box<App>),
    AppDeleted {
        id: String,
    },
    Environment(Box<Environment>),
    EnvironmentDeleted {
        id: String,
    },
    /// A commit was parsed, or its delivery moved.
    History(Box<HistoryEntry>),
    /// Objects that changed, and the uids of those that are gone.
    Objects {
        changed: Vec<LiveObject>,
        gone: Vec<String>,
    },
    /// Instances that are other than before, the names of those that are gone, and, if it has changed, how the environment's own
    /// objects are doing.
    Instances {
        changed: Vec<Instance>,
        gone: Vec<String>,
        environment: Option<Vitals>,
    },
    /// A command was given or has ended. Its result is left out here: read the command.
    Command(Box<Command>),
}
