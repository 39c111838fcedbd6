//! What the agent says.

use bytes::Bytes;
use prost::{Enumeration, Message};

use super::ObjectKey;

/// States of objects; each stands for itself, the newest counts.
#[derive(Clone, PartialEq, Message)]
pub struct ObjectState {
    #[prost(string, tag = "1")]
    pub environment_id: String,
    #[prost(message, required, tag = "2")]
    pub key: ObjectKey,
    /// The object is gone; nothing below is set.
    #[prost(bool, tag = "3")]
    pub deleted: bool,
    #[prost(string, tag = "4")]
    pub version: String,
    #[prost(string, tag = "5")]
    pub uid: String,
    #[prost(string, tag = "6")]
    pub resource_version: String,
    #[prost(enumeration = "Health", tag = "7")]
    pub health: i32,
    #[prost(string, tag = "8")]
    pub message: String,
    #[prost(btree_map = "string, string", tag = "9")]
    pub summary: std::collections::BTreeMap<String, String>,
    #[prost(message, repeated, tag = "10")]
    pub owners: Vec<Owner>,
    /// The environment's repository describes it.
    #[prost(bool, tag = "11")]
    pub managed: bool,
    #[prost(string, tag = "12")]
    pub file: String,
    #[prost(string, tag = "13")]
    pub commit: String,
    /// 16 bytes over everything that is reported, except `cause`.
    #[prost(bytes = "bytes", tag = "14")]
    pub digest: Bytes,
    #[prost(int64, tag = "15")]
    pub created_ms: i64,
    /// The Helm release that made it, as its own label says.
    #[prost(string, tag = "16")]
    pub release: String,
    /// Why it is not well, where that is more than `message`, which its own status says: one sentence, and below it, line by
    /// line, the last words of a container that crashed. It follows from what is known of other objects too, so that it is no
    /// part of the digest: a look at an object and what is told of it stay one and the same.
    #[prost(string, tag = "17")]
    pub cause: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enumeration)]
#[repr(i32)]
pub enum Health {
    Unknown = 0,
    Healthy = 1,
    Progressing = 2,
    Degraded = 3,
    Suspended = 4,
    Missing = 5,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct Owner {
    #[prost(string, tag = "1")]
    pub uid: String,
    #[prost(string, tag = "2")]
    pub kind: String,
    #[prost(string, tag = "3")]
    pub name: String,
}

/// Where the agent stands with an environment as a whole.
#[derive(Clone, PartialEq, Message)]
pub struct EnvironmentStatus {
    #[prost(string, tag = "1")]
    pub environment_id: String,
    #[prost(enumeration = "EnvironmentPhase", tag = "2")]
    pub phase: i32,
    /// One line in the format of `id_ed25519.pub`; the private half never leaves the agent.
    #[prost(string, tag = "3")]
    pub public_key: String,
    /// The agent has created and deleted a tag in the repository.
    #[prost(bool, tag = "4")]
    pub tags_checked: bool,
    /// What is wrong and what to do, for people. Empty when nothing is.
    #[prost(string, tag = "5")]
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enumeration)]
#[repr(i32)]
pub enum EnvironmentPhase {
    Preparing = 0,
    Ready = 1,
    Failed = 2,
    Removed = 3,
}

/// How the delivery of one commit goes.
#[derive(Clone, PartialEq, Message)]
pub struct DeliveryReport {
    #[prost(string, tag = "1")]
    pub environment_id: String,
    #[prost(string, tag = "2")]
    pub commit: String,
    /// Where the tag `agent-sync` is; empty when there is none yet.
    #[prost(string, tag = "3")]
    pub agent_sync: String,
    #[prost(int64, tag = "4")]
    pub started_ms: i64,
    /// 0 while it goes on.
    #[prost(int64, tag = "5")]
    pub finished_ms: i64,
    /// From 1; grows with every retry of the same commit.
    #[prost(uint32, tag = "6")]
    pub attempt: u32,
    #[prost(message, repeated, tag = "7")]
    pub objects: Vec<ObjectResult>,
    #[prost(message, repeated, tag = "8")]
    pub file_errors: Vec<FileError>,
    #[prost(message, optional, tag = "9")]
    pub held: Option<HeldPrune>,
    /// Generation of the specification that was acted on.
    #[prost(uint64, tag = "10")]
    pub generation: u64,
    /// A failure of the pass as a whole, for instance a Git host that is away. Empty when there was none.
    #[prost(string, tag = "11")]
    pub message: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ObjectResult {
    #[prost(message, required, tag = "1")]
    pub key: ObjectKey,
    #[prost(string, tag = "2")]
    pub file: String,
    #[prost(uint32, tag = "3")]
    pub line: u32,
    #[prost(enumeration = "Outcome", tag = "4")]
    pub outcome: i32,
    #[prost(string, tag = "5")]
    pub message: String,
    /// Machine-readable reason of a failure, for instance `unknown-kind` or `conflict`.
    #[prost(string, tag = "6")]
    pub code: String,
    /// Of an object that was repaired: what somebody else had changed.
    #[prost(message, repeated, tag = "7")]
    pub drifted: Vec<DriftedField>,
}

/// A field that the file sets and somebody else had changed. Never its value.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct DriftedField {
    #[prost(string, tag = "1")]
    pub field: String,
    /// Empty when it was taken out: nobody is remembered for that.
    #[prost(string, tag = "2")]
    pub manager: String,
    /// When the manager last wrote the object; 0 where that is not known.
    #[prost(int64, tag = "3")]
    pub time_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enumeration)]
#[repr(i32)]
pub enum Outcome {
    Unspecified = 0,
    Applied = 1,
    Unchanged = 2,
    Pruned = 3,
    Failed = 4,
    Held = 5,
    Refused = 6,
}

#[derive(Clone, PartialEq, Message)]
pub struct FileError {
    #[prost(string, tag = "1")]
    pub file: String,
    #[prost(uint32, tag = "2")]
    pub line: u32,
    #[prost(uint32, tag = "3")]
    pub column: u32,
    #[prost(string, tag = "4")]
    pub code: String,
    #[prost(string, tag = "5")]
    pub object: String,
    #[prost(string, tag = "6")]
    pub message: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct HeldPrune {
    #[prost(uint32, tag = "1")]
    pub count: u32,
    #[prost(uint32, tag = "2")]
    pub total: u32,
    #[prost(string, repeated, tag = "3")]
    pub objects: Vec<String>,
}

/// The one end of a command.
#[derive(Clone, PartialEq, Message)]
pub struct CommandResult {
    #[prost(string, tag = "1")]
    pub command_id: String,
    #[prost(enumeration = "CommandOutcome", tag = "2")]
    pub outcome: i32,
    #[prost(string, tag = "3")]
    pub message: String,
    /// JSON, when the command asked for something.
    #[prost(bytes = "bytes", tag = "4")]
    pub payload: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enumeration)]
#[repr(i32)]
pub enum CommandOutcome {
    Unspecified = 0,
    Succeeded = 1,
    Failed = 2,
    Cancelled = 3,
    Expired = 4,
}

/// One digest per environment and kind: equal digests mean that nothing was lost.
#[derive(Clone, PartialEq, Message)]
pub struct Digests {
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<KindDigest>,
}

#[derive(Clone, PartialEq, Message)]
pub struct KindDigest {
    #[prost(string, tag = "1")]
    pub environment_id: String,
    #[prost(string, tag = "2")]
    pub group: String,
    #[prost(string, tag = "3")]
    pub kind: String,
    #[prost(uint64, tag = "4")]
    pub count: u64,
    #[prost(bytes = "bytes", tag = "5")]
    pub digest: Bytes,
}

/// All objects of one kind of one environment, with a digest each.
#[derive(Clone, PartialEq, Message)]
pub struct KindDetail {
    #[prost(string, tag = "1")]
    pub environment_id: String,
    #[prost(string, tag = "2")]
    pub group: String,
    #[prost(string, tag = "3")]
    pub kind: String,
    #[prost(message, repeated, tag = "4")]
    pub objects: Vec<ObjectDigest>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ObjectDigest {
    /// Empty for an object of the cluster as a whole.
    #[prost(string, tag = "1")]
    pub namespace: String,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub digest: Bytes,
}

/// The kinds that the cluster's API server offers.
#[derive(Clone, PartialEq, Message)]
pub struct Kinds {
    #[prost(message, repeated, tag = "1")]
    pub kinds: Vec<Kind>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct Kind {
    #[prost(string, tag = "1")]
    pub group: String,
    #[prost(string, tag = "2")]
    pub version: String,
    #[prost(string, tag = "3")]
    pub kind: String,
    #[prost(bool, tag = "4")]
    pub namespaced: bool,
}
