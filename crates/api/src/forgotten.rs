//! What is left where the platform stopped looking: the answer to a deletion without the agent.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Forgotten {
    /// Nothing of this was touched. One entry for each environment; empty if no agent was ever there.
    pub stays: Vec<LeftBehind>,
}

impl Forgotten {
    /// Where no agent was ever heard, there is nothing.
    pub fn of(environments: impl IntoIterator<Item = LeftBehind>) -> Self {
        let stays = environments
            .into_iter()
            .filter(|left| left.last_seen_ms.is_some());
        Self {
            stays: stays.collect(),
        }
    }
}

/// An environment that lives on in its cluster, and that nobody delivers to any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeftBehind {
    pub environment: String,
    pub cluster: String,
    pub namespace: String,
    /// Objects that the environment had delivered, as the agent told last.
    pub objects: u32,
    /// When the agent was heard last.
    pub last_seen_ms: Option<i64>,
}
