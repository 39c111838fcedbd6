//! The words of a command: who orders what on which object, and how it ended.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::cluster::KindName;
use crate::environments::EnvironmentId;

/// Id of a command, given by the platform. Fit to be the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId(String);

impl CommandId {
    /// `None` for what could not be the name of a file.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        crate::environments::is_plain_id(&text).then_some(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for CommandId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object in the namespace of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectName {
    pub kind: KindName,
    pub name: String,
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    Sync,
    /// Stamped with the time at which it was ordered.
    Restart {
        object: ObjectName,
        created_ms: i64,
    },
    Scale {
        object: ObjectName,
        replicas: u32,
    },
    DeleteObject {
        object: ObjectName,
    },
    GetObject {
        object: ObjectName,
    },
    CancelRelease {
        object: ObjectName,
    },
    RetryRelease {
        object: ObjectName,
    },
    TestRelease {
        object: ObjectName,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub id: CommandId,
    pub environment: EnvironmentId,
    pub verb: Verb,
    pub deadline: Instant,
}

/// What must not be worked on by two commands at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OrderKey {
    Environment,
    Object(ObjectName),
    /// The word that ends what goes on does not wait for it.
    Cancel(ObjectName),
}

impl Order {
    pub fn key(&self) -> OrderKey {
        match &self.verb {
            Verb::Sync => OrderKey::Environment,
            Verb::Restart { object, .. }
            | Verb::Scale { object, .. }
            | Verb::DeleteObject { object }
            | Verb::GetObject { object }
            | Verb::RetryRelease { object }
            | Verb::TestRelease { object } => OrderKey::Object(object.clone()),
            Verb::CancelRelease { object } => OrderKey::Cancel(object.clone()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderEnd {
    Succeeded,
    Failed,
    Cancelled,
    Expired,
}

/// The one result that a command ends in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderResult {
    pub end: OrderEnd,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What was asked for, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<serde_json::Value>,
}

impl OrderResult {
    pub fn succeeded(message: impl Into<String>) -> Self {
        Self {
            end: OrderEnd::Succeeded,
            message: message.into(),
            answer: None,
        }
    }

    pub fn answered(answer: serde_json::Value) -> Self {
        Self {
            end: OrderEnd::Succeeded,
            message: String::new(),
            answer: Some(answer),
        }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            end: OrderEnd::Failed,
            message: message.into(),
            answer: None,
        }
    }

    pub fn cancelled() -> Self {
        let message = "cancelled; what had already reached the API server stays".to_owned();
        Self {
            end: OrderEnd::Cancelled,
            message,
            answer: None,
        }
    }

    pub fn expired() -> Self {
        let message = "the deadline passed before the command had ended; give it again if it is still wanted"
            .to_owned();
        Self {
            end: OrderEnd::Expired,
            message,
            answer: None,
        }
    }
}
