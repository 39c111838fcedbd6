//! What a WebSocket message holds: one frame.

use bytes::Bytes;
use prost::{Enumeration, Message};

use super::Item;

/// One binary WebSocket message.
#[derive(Clone, PartialEq, Message)]
pub struct Frame {
    /// Number of the session, given by the platform; 0 until the welcome.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// Position in the sender's sequence, from 1; 0 for control frames, which are never sent again.
    #[prost(uint64, tag = "2")]
    pub seq: u64,
    /// Everything of the peer up to this position is durably stored.
    #[prost(uint64, tag = "3")]
    pub ack: u64,
    /// The body goes on in the frame with the next position.
    #[prost(bool, tag = "4")]
    pub more: bool,
    #[prost(enumeration = "Encoding", tag = "5")]
    pub encoding: i32,
    /// An encoded [`Body`], or a piece of it.
    #[prost(bytes = "bytes", tag = "6")]
    pub body: Bytes,
    #[prost(oneof = "Control", tags = "10, 11, 12, 13, 14")]
    pub control: Option<Control>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum Encoding {
    Plain = 0,
    /// Zstandard (RFC 8878), over the body as a whole, not over its pieces.
    Zstd = 1,
}

#[derive(Clone, PartialEq, Message)]
pub struct Body {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Item>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Control {
    #[prost(message, tag = "10")]
    Hello(Hello),
    #[prost(message, tag = "11")]
    Welcome(Welcome),
    #[prost(message, tag = "12")]
    Bye(Bye),
    #[prost(message, tag = "13")]
    Ping(Ping),
    #[prost(message, tag = "14")]
    Pong(Ping),
}

/// First frame of the agent.
#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    #[prost(uint32, tag = "1")]
    pub protocol_min: u32,
    #[prost(uint32, tag = "2")]
    pub protocol_max: u32,
    #[prost(string, repeated, tag = "3")]
    pub features: Vec<String>,
    #[prost(string, tag = "4")]
    pub agent_version: String,
    /// Random, new with each start of the program.
    #[prost(string, tag = "5")]
    pub instance_id: String,
    /// uid of the namespace `kube-system`, which no two clusters share.
    #[prost(string, tag = "6")]
    pub cluster_uid: String,
    #[prost(message, optional, tag = "7")]
    pub cluster: Option<ClusterInfo>,
}

/// First frame of the platform.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Welcome {
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    #[prost(string, repeated, tag = "2")]
    pub features: Vec<String>,
    #[prost(string, tag = "3")]
    pub server_version: String,
    #[prost(uint32, tag = "4")]
    pub heartbeat_ms: u32,
    /// A long-lived credential in place of the activation token. Empty when the agent came with a credential.
    #[prost(string, tag = "5")]
    pub credential: String,
    /// Ids of all environments of this cluster. Their specifications follow as items; what is not named here is gone.
    #[prost(string, repeated, tag = "6")]
    pub environments: Vec<String>,
}

/// Without the credential: what is printed ends up in a log.
impl std::fmt::Debug for Welcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Welcome")
            .field("protocol", &self.protocol)
            .field("features", &self.features)
            .field("server_version", &self.server_version)
            .field("heartbeat_ms", &self.heartbeat_ms)
            .field("environments", &self.environments)
            .finish_non_exhaustive()
    }
}

/// Why a side closes.
#[derive(Clone, PartialEq, Message)]
pub struct Bye {
    #[prost(enumeration = "ByeCode", tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub reason: String,
    /// 0 when the sender has no wish.
    #[prost(uint64, tag = "3")]
    pub retry_after_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enumeration)]
#[repr(i32)]
pub enum ByeCode {
    Unspecified = 0,
    /// The sender shuts down; come back.
    GoingAway = 1,
    /// A newer session of the same cluster took its place.
    Superseded = 2,
    /// The credential or the cluster behind it is not the one that is known.
    Refused = 3,
    /// No protocol version that both speak.
    Incompatible = 4,
    /// A frame that cannot be understood.
    ProtocolError = 5,
    /// Nothing was heard for too long.
    Timeout = 6,
    /// Too much at once; come back after `retry_after_ms`.
    Overloaded = 7,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Ping {
    #[prost(uint64, tag = "1")]
    pub nonce: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct ClusterInfo {
    #[prost(string, tag = "1")]
    pub kubernetes_version: String,
    #[prost(message, repeated, tag = "2")]
    pub nodes: Vec<Node>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Node {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(bool, tag = "2")]
    pub ready: bool,
    #[prost(string, tag = "3")]
    pub kubelet_version: String,
}
