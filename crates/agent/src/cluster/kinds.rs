//! The table of kinds that the API server offers, made from its aggregated discovery documents. Pure.

use std::collections::BTreeMap;

use kube::core::ApiResource;
use kube::core::discovery::v2::APIGroupDiscoveryList;

/// A kind without its version: what an object's identity is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindName {
    /// Empty for the core group.
    pub group: String,
    pub kind: String,
}

impl KindName {
    pub fn new(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            kind: kind.into(),
        }
    }
}

impl std::fmt::Display for KindName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.group.as_str() {
            "" => f.write_str(&self.kind),
            group => write!(f, "{}.{group}", self.kind),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    Namespaced,
    Cluster,
}

/// One kind in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindInfo {
    pub resource: ApiResource,
    pub scope: Scope,
    pub verbs: Vec<String>,
    pub subresources: Vec<String>,
}

impl KindInfo {
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    pub fn has_subresource(&self, name: &str) -> bool {
        self.subresources.iter().any(|known| known == name)
    }
}

/// Every kind, each with its versions, the server's preferred one first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds {
    by_name: BTreeMap<KindName, Vec<KindInfo>>,
}

impl Kinds {
    /// The kind in the version that the server prefers.
    pub fn preferred(&self, name: &KindName) -> Option<&KindInfo> {
        self.by_name.get(name)?.first()
    }

    /// The kind in just this version.
    pub fn in_version(&self, name: &KindName, version: &str) -> Option<&KindInfo> {
        self.by_name
            .get(name)?
            .iter()
            .find(|info| info.resource.version == version)
    }

    /// All kinds, each in its preferred version.
    pub fn iter(&self) -> impl Iterator<Item = (&KindName, &KindInfo)> {
        self.by_name
            .iter()
            .filter_map(|(name, versions)| Some((name, versions.first()?)))
    }

    /// All kinds in all their versions.
    pub fn versions(&self) -> impl Iterator<Item = (&KindName, &KindInfo)> {
        self.by_name
            .iter()
            .flat_map(|(name, versions)| versions.iter().map(move |info| (name, info)))
    }

    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Reads the documents of `/api` and `/apis`. A group version that the server marks as stale (its extension server
    /// is away) keeps what `before` knew of it: a kind that cannot be asked about has not ceased to exist.
    pub fn from_discovery<'a>(
        documents: impl IntoIterator<Item = &'a APIGroupDiscoveryList>,
        before: &Kinds,
    ) -> Self {
        let mut kinds = Kinds::default();
        for group in documents.into_iter().flat_map(|document| &document.items) {
            let group_name = group
                .metadata
                .as_ref()
                .and_then(|meta| meta.name.clone())
                .unwrap_or_default();
            for version in &group.versions {
                let version_name = version.version.clone().unwrap_or_default();
                if version.freshness.as_deref() == Some("Stale") && version.resources.is_empty() {
                    kinds.keep(before, &group_name, &version_name);
                    continue;
                }
                for resource in &version.resources {
                    let (Some(plural), Some(kind)) = (&resource.resource, &resource.response_kind) else {
                        continue;
                    };
                    let Some(kind) = &kind.kind else { continue };
                    let info = KindInfo {
                        resource: ApiResource {
                            group: group_name.clone(),
                            version: version_name.clone(),
                            api_version: match group_name.as_str() {
                                "" => version_name.clone(),
                                group => format!("{group}/{version_name}"),
                            },
                            kind: kind.clone(),
                            plural: plural.clone(),
                        },
                        scope: match resource.scope.as_deref() {
                            Some("Cluster") => Scope::Cluster,
                            _ => Scope::Namespaced,
                        },
                        verbs: resource.verbs.clone(),
                        subresources: resource
                            .subresources
                            .iter()
                            .filter_map(|sub| sub.subresource.clone())
                            .collect(),
                    };
                    kinds
                        .by_name
                        .entry(KindName::new(group_name.clone(), kind.clone()))
                        .or_default()
                        .push(info);
                }
            }
        }
        kinds
    }

    fn keep(&mut self, before: &Kinds, group: &str, version: &str) {
        for (name, info) in before.versions() {
            if name.group == group && info.resource.version == version {
                self.by_name.entry(name.clone()).or_default().push(info.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(group: &str, versions: serde_json::Value) -> APIGroupDiscoveryList {
        serde_json::from_value(
            serde_json::json!({ "items": [{ "metadata": { "name": group }, "versions": versions }] }),
        )
        .unwrap()
    }

    fn widgets(version: &str) -> serde_json::Value {
        serde_json::json!({ "version": version, "freshness": "Current", "resources": [{
            "resource": "widgets", "scope": "Cluster", "verbs": ["get", "list"],
            "responseKind": { "group": "example.com", "version": version, "kind": "Widget" },
            "subresources": [{ "subresource": "status", "verbs": ["get"] }],
        }]})
    }

    #[test]
    fn the_first_version_is_the_preferred_one_and_the_others_are_found() {
        let kinds = Kinds::from_discovery(
            [&document(
                "example.com",
                serde_json::json!([widgets("v2"), widgets("v1")]),
            )],
            &Kinds::default(),
        );

        let name = KindName::new("example.com", "Widget");
        assert_eq!(
            kinds.preferred(&name).unwrap().resource.api_version,
            "example.com/v2"
        );
        assert_eq!(kinds.in_version(&name, "v1").unwrap().scope, Scope::Cluster);
        assert!(kinds.in_version(&name, "v3").is_none());
        assert!(kinds.preferred(&name).unwrap().has_subresource("status"));
    }

    #[test]
    fn kinds_of_an_extension_server_that_is_away_are_kept() {
        let before = Kinds::from_discovery(
            [&document("example.com", serde_json::json!([widgets("v1")]))],
            &Kinds::default(),
        );

        let stale = serde_json::json!([{ "version": "v1", "freshness": "Stale", "resources": [] }]);
        let after = Kinds::from_discovery([&document("example.com", stale)], &before);

        assert_eq!(after, before);
    }

    #[test]
    fn the_core_group_has_no_slash_in_its_version() {
        let core = serde_json::json!([{ "version": "v1", "resources": [{
            "resource": "pods", "scope": "Namespaced", "verbs": ["get"], "responseKind": { "version": "v1", "kind": "Pod" },
        }]}]);
        let kinds = Kinds::from_discovery([&document("", core)], &Kinds::default());
        assert_eq!(
            kinds
                .preferred(&KindName::new("", "Pod"))
                .unwrap()
                .resource
                .api_version,
            "v1"
        );
    }
}
