//! What the platform says.

use prost::{Enumeration, Message};

use super::ObjectKey;

/// Everything that the agent must know to keep an environment.
#[derive(Clone, PartialEq, Message)]
pub struct EnvironmentSpec {
    #[prost(string, tag = "1")]
    pub environment_id: String,
    #[prost(string, tag = "2")]
    pub project: String,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub namespace: String,
    /// `ssh://` URL of the repository.
    #[prost(string, tag = "5")]
    pub ssh_url: String,
    /// `http://` or `https://` URL of the same repository.
    #[prost(string, tag = "6")]
    pub http_url: String,
    /// Lines for `known_hosts`: the host keys that the agent may believe.
    #[prost(string, tag = "7")]
    pub ssh_host_keys: String,
    #[prost(string, tag = "8")]
    pub branch: String,
    /// The newest parsed commit; empty before the first push.
    #[prost(string, tag = "9")]
    pub wanted_commit: String,
    /// Grows with every change of this specification; the highest counts.
    #[prost(uint64, tag = "10")]
    pub generation: u64,
    /// `KIND.GROUP` of cluster-scoped kinds that the environment may contain.
    #[prost(string, repeated, tag = "11")]
    pub allowed_cluster_kinds: Vec<String>,
    /// A person has said that the deletions of this commit are meant.
    #[prost(string, tag = "12")]
    pub confirmed_commit: String,
    #[prost(enumeration = "Removal", tag = "13")]
    pub removal: i32,
    /// The platform has registered the agent's public key.
    #[prost(string, tag = "14")]
    pub registered_fingerprint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enumeration)]
#[repr(i32)]
pub enum Removal {
    No = 0,
    KeepNamespace = 1,
    DeleteNamespace = 2,
}

#[derive(Clone, PartialEq, Message)]
pub struct Command {
    #[prost(string, tag = "1")]
    pub command_id: String,
    #[prost(string, tag = "2")]
    pub environment_id: String,
    #[prost(int64, tag = "3")]
    pub deadline_ms: i64,
    /// Commands are idempotent by this: a restart is stamped with it, whenever it is carried out.
    #[prost(int64, tag = "4")]
    pub created_ms: i64,
    #[prost(oneof = "Action", tags = "10, 11, 12, 13, 14, 15, 16, 17, 18")]
    pub action: Option<Action>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Action {
    #[prost(message, tag = "10")]
    Sync(Sync),
    #[prost(message, tag = "11")]
    Restart(ObjectKey),
    #[prost(message, tag = "12")]
    Scale(Scale),
    #[prost(message, tag = "13")]
    DeleteObject(ObjectKey),
    #[prost(message, tag = "14")]
    GetObject(ObjectKey),
    #[prost(message, tag = "15")]
    CancelRelease(ObjectKey),
    #[prost(message, tag = "16")]
    RetryRelease(ObjectKey),
    #[prost(message, tag = "17")]
    TestRelease(ObjectKey),
    /// Of the cluster as a whole: the command names no environment.
    #[prost(message, tag = "18")]
    UpgradeAgent(UpgradeAgent),
}

/// The agent puts this image in its own place, and takes the old one back if the new one is not ready in time.
#[derive(Clone, PartialEq, Message)]
pub struct UpgradeAgent {
    #[prost(string, tag = "1")]
    pub image: String,
    #[prost(uint64, tag = "2")]
    pub patience_ms: u64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sync {}

#[derive(Clone, PartialEq, Message)]
pub struct Scale {
    #[prost(message, required, tag = "1")]
    pub object: ObjectKey,
    #[prost(uint32, tag = "2")]
    pub replicas: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct CancelCommand {
    #[prost(string, tag = "1")]
    pub command_id: String,
}

/// A credential in place of the one that the agent came with. The old one works until the new one was used.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct NewCredential {
    #[prost(string, tag = "1")]
    pub credential: String,
}

impl std::fmt::Debug for NewCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewCredential(hidden)")
    }
}

/// Send a [`super::KindDetail`] for each of these.
#[derive(Clone, PartialEq, Message)]
pub struct DetailRequest {
    #[prost(string, tag = "1")]
    pub environment_id: String,
    #[prost(string, tag = "2")]
    pub group: String,
    #[prost(string, tag = "3")]
    pub kind: String,
}

/// Send the state of each of these; one that is gone is answered as deleted.
#[derive(Clone, PartialEq, Message)]
pub struct ObjectRequest {
    #[prost(string, tag = "1")]
    pub environment_id: String,
    #[prost(string, tag = "2")]
    pub group: String,
    #[prost(string, tag = "3")]
    pub kind: String,
    #[prost(message, repeated, tag = "4")]
    pub objects: Vec<ObjectKey>,
}
