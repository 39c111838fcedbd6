//! Projects: what belongs together and who may touch it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Project {
    pub id: String,
    pub name: String,
    /// Cluster-scoped kinds that the environments of this project may contain, as `KIND.GROUP`.
    pub allowed_cluster_kinds: Vec<String>,
    pub created_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewProject {
    /// A DNS label (RFC 1123): lower-case letters, digits and dashes.
    pub name: String,
    #[serde(default)]
    pub allowed_cluster_kinds: Vec<String>,
}
