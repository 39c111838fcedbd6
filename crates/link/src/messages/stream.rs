//! What the platform asks of the agent when a person wants to see a log or to be in a pod.

use bytes::Bytes;
use prost::Message;

/// Dial a second WebSocket (`c7n-stream`) with this ticket and join it to the API server. Not stored anywhere: who asked
/// waits for it, and asks again.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct OpenStream {
    #[prost(string, tag = "1")]
    pub stream_id: String,
    /// 16 bytes, good for one use.
    #[prost(bytes = "bytes", tag = "2")]
    pub ticket: Bytes,
    #[prost(string, tag = "3")]
    pub environment_id: String,
    /// The cluster is asked (SubjectAccessReview) whether this user may do it, at the start and again while it goes on.
    /// Empty: the platform's own rights are enough.
    #[prost(string, tag = "4")]
    pub reviewed_user: String,
    #[prost(oneof = "Wish", tags = "10, 11, 12")]
    pub wish: Option<Wish>,
}

impl std::fmt::Debug for OpenStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenStream")
            .field("stream_id", &self.stream_id)
            .field("environment_id", &self.environment_id)
            .field("reviewed_user", &self.reviewed_user)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Wish {
    #[prost(message, tag = "10")]
    Logs(ReadLogs),
    #[prost(message, tag = "11")]
    Exec(RunProcess),
    #[prost(message, tag = "12")]
    PortForward(ForwardPort),
}

#[derive(Clone, PartialEq, Message)]
pub struct ReadLogs {
    #[prost(oneof = "LogTarget", tags = "1, 2, 3")]
    pub target: Option<LogTarget>,
    /// Also an init or an ephemeral container. Empty: the one that `kubectl` would take.
    #[prost(string, tag = "4")]
    pub container: String,
    /// Every container of the pod, those of the start and those for debugging too.
    #[prost(bool, tag = "5")]
    pub all_containers: bool,
    /// Of the container that ran before the present one.
    #[prost(bool, tag = "6")]
    pub previous: bool,
    /// Go on with what comes, of pods that come too.
    #[prost(bool, tag = "7")]
    pub follow: bool,
    /// Leave the kubelet's time before each line.
    #[prost(bool, tag = "8")]
    pub timestamps: bool,
    /// Nothing older than this, in nanoseconds since 1970.
    #[prost(int64, optional, tag = "9")]
    pub since_ns: Option<i64>,
    /// Of each container no more than so many lines of what is there already.
    #[prost(int64, optional, tag = "10")]
    pub tail: Option<i64>,
    /// After a break: where each container was. A container that is not named here begins at its beginning.
    #[prost(message, repeated, tag = "11")]
    pub from: Vec<LogFrom>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum LogTarget {
    #[prost(string, tag = "1")]
    Pod(String),
    /// All pods of a Helm release.
    #[prost(string, tag = "2")]
    Release(String),
    /// A label selector.
    #[prost(string, tag = "3")]
    Selector(String),
}

#[derive(Clone, PartialEq, Message)]
pub struct LogFrom {
    #[prost(string, tag = "1")]
    pub pod_uid: String,
    #[prost(string, tag = "2")]
    pub container: String,
    #[prost(int64, tag = "3")]
    pub time_ns: i64,
    #[prost(uint32, tag = "4")]
    pub nth: u32,
    #[prost(uint64, tag = "5")]
    pub offset: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct RunProcess {
    #[prost(string, tag = "1")]
    pub pod: String,
    /// Empty: the one that `kubectl` would take.
    #[prost(string, tag = "2")]
    pub container: String,
    /// Empty: the best shell that is found.
    #[prost(string, repeated, tag = "3")]
    pub command: Vec<String>,
    #[prost(bool, tag = "4")]
    pub tty: bool,
    #[prost(bool, tag = "5")]
    pub stdin: bool,
    /// Of the terminal at the start; 0 where there is none.
    #[prost(uint32, tag = "6")]
    pub columns: u32,
    #[prost(uint32, tag = "7")]
    pub rows: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct ForwardPort {
    #[prost(string, tag = "1")]
    pub pod: String,
    #[prost(uint32, tag = "2")]
    pub port: u32,
}
