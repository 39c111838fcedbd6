//! The words of the dialogue, as protobuf (proto3 on the wire). Field numbers are never used anew; fields and items that a
//! side does not know are passed over, so that versions may differ.

mod agent;
mod frame;
mod platform;
mod stream;

use prost::Message;

pub use agent::*;
pub use frame::*;
pub use platform::*;
pub use stream::*;

/// Names an object inside a cluster.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Message)]
pub struct ObjectKey {
    /// Empty for the core group.
    #[prost(string, tag = "1")]
    pub group: String,
    #[prost(string, tag = "2")]
    pub kind: String,
    /// Empty for an object of the cluster as a whole.
    #[prost(string, tag = "3")]
    pub namespace: String,
    #[prost(string, tag = "4")]
    pub name: String,
}

/// One thing that is said. An item of an unknown sort decodes as `None`: it is acknowledged and passed over.
#[derive(Clone, PartialEq, Message)]
pub struct Item {
    #[prost(oneof = "Say", tags = "1, 2, 3, 4, 5, 6, 7, 8, 20, 22, 23, 24, 25, 30, 31")]
    pub say: Option<Say>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Say {
    // agent to platform
    #[prost(message, tag = "1")]
    State(ObjectState),
    #[prost(message, tag = "2")]
    EnvironmentStatus(EnvironmentStatus),
    #[prost(message, tag = "3")]
    Delivery(DeliveryReport),
    #[prost(message, tag = "4")]
    Result(CommandResult),
    #[prost(message, tag = "5")]
    Digests(Digests),
    #[prost(message, tag = "6")]
    Detail(KindDetail),
    #[prost(message, tag = "7")]
    Cluster(ClusterInfo),
    #[prost(message, tag = "8")]
    Kinds(Kinds),
    // platform to agent
    #[prost(message, tag = "20")]
    Environment(EnvironmentSpec),
    // 21 was a short form of a specification; it could overtake a longer one and make it look old.
    #[prost(message, tag = "22")]
    Command(Command),
    #[prost(message, tag = "23")]
    Cancel(CancelCommand),
    #[prost(message, tag = "24")]
    DetailRequest(DetailRequest),
    #[prost(message, tag = "25")]
    ObjectRequest(ObjectRequest),
    #[prost(message, tag = "30")]
    Credential(NewCredential),
    #[prost(message, tag = "31")]
    OpenStream(OpenStream),
}

/// What an item is about. Of two items with the same key only the newer one matters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    State {
        environment_id: String,
        object: ObjectKey,
    },
    EnvironmentStatus(String),
    /// Environment and commit: what came of a commit is kept for its history.
    Delivery {
        environment_id: String,
        commit: String,
    },
    Result(String),
    Digests,
    Detail {
        environment_id: String,
        group: String,
        kind: String,
    },
    Cluster,
    Kinds,
    Environment(String),
    Command(String),
    Cancel(String),
    DetailRequest {
        environment_id: String,
        group: String,
        kind: String,
    },
    ObjectRequest {
        environment_id: String,
        group: String,
        kind: String,
    },
    Credential,
    OpenStream(String),
}

impl Say {
    pub fn topic(&self) -> Topic {
        match self {
            Self::State(state) => Topic::State {
                environment_id: state.environment_id.clone(),
                object: state.key.clone(),
            },
            Self::EnvironmentStatus(status) => Topic::EnvironmentStatus(status.environment_id.clone()),
            Self::Delivery(report) => Topic::Delivery {
                environment_id: report.environment_id.clone(),
                commit: report.commit.clone(),
            },
            Self::Result(result) => Topic::Result(result.command_id.clone()),
            Self::Digests(_) => Topic::Digests,
            Self::Detail(detail) => Topic::Detail {
                environment_id: detail.environment_id.clone(),
                group: detail.group.clone(),
                kind: detail.kind.clone(),
            },
            Self::Cluster(_) => Topic::Cluster,
            Self::Kinds(_) => Topic::Kinds,
            Self::Environment(spec) => Topic::Environment(spec.environment_id.clone()),
            Self::Command(command) => Topic::Command(command.command_id.clone()),
            Self::Cancel(cancel) => Topic::Cancel(cancel.command_id.clone()),
            Self::DetailRequest(request) => Topic::DetailRequest {
                environment_id: request.environment_id.clone(),
                group: request.group.clone(),
                kind: request.kind.clone(),
            },
            Self::ObjectRequest(request) => Topic::ObjectRequest {
                environment_id: request.environment_id.clone(),
                group: request.group.clone(),
                kind: request.kind.clone(),
            },
            Self::Credential(_) => Topic::Credential,
            Self::OpenStream(open) => Topic::OpenStream(open.stream_id.clone()),
        }
    }
}

impl From<Say> for Item {
    fn from(say: Say) -> Self {
        Self { say: Some(say) }
    }
}
