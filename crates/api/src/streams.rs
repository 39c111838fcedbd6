//! Logs, exec and port-forward: a stream is opened here, and then flows through a WebSocket.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a person wants of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NewStream {
    Logs(ReadLogs),
    Exec(RunProcess),
    PortForward {
        pod: String,
        /// 1 to 65535.
        port: u16,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadLogs {
    pub target: LogTarget,
    /// Also an init or an ephemeral container. Without it the one that `kubectl` would take.
    #[serde(default)]
    pub container: Option<String>,
    /// Every container, those of the start and those for debugging too.
    #[serde(default)]
    pub all_containers: bool,
    /// Of the container that ran before the present one.
    #[serde(default)]
    pub previous: bool,
    /// Go on with what comes, of pods that come too.
    #[serde(default)]
    pub follow: bool,
    /// Each line begins with its time (RFC 3339).
    #[serde(default)]
    pub timestamps: bool,
    /// Nothing older than this.
    #[serde(default)]
    pub since_ms: Option<i64>,
    /// Of each container no more than so many lines of what is there already.
    #[serde(default)]
    pub tail: Option<u32>,
    /// After a break: where each container was.
    #[serde(default)]
    pub from: Vec<LogFrom>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogTarget {
    Pod(String),
    /// All pods of an instance.
    Instance(String),
    /// A label selector.
    Selector(String),
}

/// The place up to which the log of a container came: taken from the last frame of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogFrom {
    pub pod_uid: String,
    pub container: String,
    pub time_ns: i64,
    pub nth: u32,
    pub offset: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunProcess {
    pub pod: String,
    /// Without it the one that `kubectl` would take.
    #[serde(default)]
    pub container: Option<String>,
    /// Empty: the best shell that is found.
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default)]
    pub tty: bool,
    #[serde(default)]
    pub stdin: bool,
    /// Size of the terminal at the start.
    #[serde(default)]
    pub columns: Option<u16>,
    #[serde(default)]
    pub rows: Option<u16>,
}

/// A seat of a stream. Take it before `expires_ms` by a WebSocket to `path` with the subprotocols `c7n.stream.v1` and
/// `c7n.ticket.` followed by the ticket.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenedStream {
    pub id: String,
    /// Good for one use.
    pub ticket: String,
    pub path: String,
    pub expires_ms: i64,
}

/// What a user may do in one environment beyond or short of their role in the project: `null` leaves it to the role.
/// Developers read logs, owners also run processes and forward ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamRights {
    #[serde(default)]
    pub logs: Option<bool>,
    /// Exec, copying and port-forward.
    #[serde(default)]
    pub exec: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserStreamRights {
    pub username: String,
    #[serde(flatten)]
    pub rights: StreamRights,
}

/// How an environment's streams are guarded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamSettings {
    /// Keep what terminals show, to be played again. What is typed is kept only where the terminal shows it.
    pub record_exec: bool,
    /// Also ask the cluster (SubjectAccessReview) whether the user, by name, may do it.
    pub review_access: bool,
    /// Exec ends when nothing was typed or shown for so long.
    pub idle_minutes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StreamKind {
    Logs,
    Exec,
    PortForward,
}

/// One stream that was opened, as the audit log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamRecord {
    pub id: String,
    pub kind: StreamKind,
    pub username: String,
    /// Name of the environment.
    pub environment: String,
    /// The pod, or what stands for several.
    pub target: String,
    pub container: Option<String>,
    /// Never what was typed.
    pub command: Vec<String>,
    pub opened_ms: i64,
    /// `null` while it goes on.
    pub ended_ms: Option<i64>,
    pub exit_code: Option<i32>,
    /// Why it ended.
    pub end: Option<String>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub recorded: bool,
}
