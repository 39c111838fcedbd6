//! The live state of a cluster's objects.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HealthStatus {
    Healthy,
    Progressing,
    Degraded,
    Suspended,
    Missing,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiveObject {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
    pub uid: String,
    pub health: HealthStatus,
    /// What its own status says.
    pub message: Option<String>,
    /// Why it is not healthy, where that is more than `message`: one sentence, and below it, line by line, the last words of a
    /// container that crashed.
    pub cause: Option<String>,
    /// The instance that it belongs to, as its own label says. What carries no label belongs to its owner's.
    pub release: Option<String>,
    /// A few columns that fit the kind, for instance `ready: 2/3`. Never the values of a Secret.
    pub summary: BTreeMap<String, String>,
    pub owners: Vec<Owner>,
    /// True when the environment's repository describes it.
    pub managed: bool,
    pub file: Option<String>,
    pub commit: Option<String>,
    pub created_ms: i64,
    pub seen_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Owner {
    pub uid: String,
    pub kind: String,
    pub name: String,
}
