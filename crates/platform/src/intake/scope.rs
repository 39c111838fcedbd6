//! Where a kind's objects live: as the cluster itself has told, else as every cluster has it.

use std::collections::HashMap;

use c7n_manifests::{GroupKind, Scope, builtin_scope};
use serde::{Deserialize, Serialize};

/// A kind that a cluster offers, as it is kept in the database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OfferedKind {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub namespaced: bool,
}

impl From<c7n_link::messages::Kind> for OfferedKind {
    fn from(kind: c7n_link::messages::Kind) -> Self {
        Self {
            group: kind.group,
            version: kind.version,
            kind: kind.kind,
            namespaced: kind.namespaced,
        }
    }
}

#[derive(Default)]
pub struct Scopes(HashMap<GroupKind, Scope>);

impl Scopes {
    /// A text that cannot be read is as good as none: the agent judges again with what its cluster says.
    pub fn parse(kinds: &str) -> Self {
        let offered: Vec<OfferedKind> = serde_json::from_str(kinds).unwrap_or_default();
        let scope = |namespaced| {
            if namespaced {
                Scope::Namespaced
            } else {
                Scope::Cluster
            }
        };
        Self(
            offered
                .into_iter()
                .map(|kind| (GroupKind::new(kind.group, kind.kind), scope(kind.namespaced)))
                .collect(),
        )
    }

    pub fn of(&self, kind: &GroupKind) -> Option<Scope> {
        self.0.get(kind).copied().or_else(|| builtin_scope(kind))
    }
}
