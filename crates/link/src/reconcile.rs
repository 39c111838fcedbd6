//! What to ask after a break: from digests to details to the objects that differ.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::digest::{DigestTable, KindKey};
use crate::messages::{DetailRequest, Digests, KindDetail, ObjectKey, ObjectRequest};

/// The sets about which the two sides do not agree, those included that only one side has.
pub fn mismatches(ours: &DigestTable, theirs: &Digests) -> Vec<DetailRequest> {
    let mut told = BTreeMap::new();
    for entry in &theirs.entries {
        let key = KindKey {
            environment_id: entry.environment_id.clone(),
            group: entry.group.clone(),
            kind: entry.kind.clone(),
        };
        told.insert(key, entry);
    }
    let differing = told
        .iter()
        .filter(|(key, entry)| !ours.get(key).agrees_with(entry))
        .map(|(key, _)| key);
    let only_ours = ours
        .iter()
        .map(|(key, _)| key)
        .filter(|key| !told.contains_key(key));
    differing
        .chain(only_ours)
        .map(|key| DetailRequest {
            environment_id: key.environment_id.clone(),
            group: key.group.clone(),
            kind: key.kind.clone(),
        })
        .collect()
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Differences {
    /// We have them and the cluster does not.
    pub gone: Vec<ObjectKey>,
    /// The cluster has them, and ours are other or missing.
    pub request: Option<ObjectRequest>,
}

/// Compares our objects of one set, by namespace and name, with the agent's full list.
pub fn differences(ours: &BTreeMap<(String, String), Bytes>, theirs: &KindDetail) -> Differences {
    let key = |namespace: &str, name: &str| ObjectKey {
        group: theirs.group.clone(),
        kind: theirs.kind.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let told: BTreeMap<(&str, &str), &Bytes> = theirs
        .objects
        .iter()
        .map(|object| ((object.namespace.as_str(), object.name.as_str()), &object.digest))
        .collect();
    let gone = ours
        .keys()
        .filter(|(namespace, name)| !told.contains_key(&(namespace.as_str(), name.as_str())))
        .map(|(namespace, name)| key(namespace, name))
        .collect();
    let objects: Vec<ObjectKey> = told
        .iter()
        .filter(|((namespace, name), digest)| {
            ours.get(&((*namespace).to_owned(), (*name).to_owned())) != Some(**digest)
        })
        .map(|((namespace, name), _)| key(namespace, name))
        .collect();
    let request = (!objects.is_empty()).then(|| ObjectRequest {
        environment_id: theirs.environment_id.clone(),
        group: theirs.group.clone(),
        kind: theirs.kind.clone(),
        objects,
    });
    Differences { gone, request }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::ObjectDigest;

    fn key(kind: &str) -> KindKey {
        KindKey {
            environment_id: "e".into(),
            group: String::new(),
            kind: kind.into(),
        }
    }

    #[test]
    fn only_sets_that_differ_are_asked_for() {
        let (mut ours, mut theirs) = (DigestTable::default(), DigestTable::default());
        for table in [&mut ours, &mut theirs] {
            table.insert(&key("Same"), "n", "a", b"1");
            table.insert(&key("Other"), "n", "a", b"1");
        }
        theirs.insert(&key("Other"), "n", "b", b"1");
        theirs.insert(&key("New"), "n", "a", b"1");
        ours.insert(&key("Gone"), "n", "a", b"1");
        let asked: Vec<String> = mismatches(&ours, &theirs.message())
            .into_iter()
            .map(|request| request.kind)
            .collect();
        assert_eq!(asked, ["New", "Other", "Gone"]);
        assert!(mismatches(&ours, &ours.message()).is_empty());
    }

    #[test]
    fn only_objects_that_differ_travel() {
        let ours: BTreeMap<_, _> = [("same", "1"), ("changed", "1"), ("gone", "1")]
            .map(|(name, digest)| (("n".to_owned(), name.to_owned()), Bytes::from(digest)))
            .into();
        let objects = [("same", "1"), ("changed", "2"), ("new", "1")].map(|(name, digest)| ObjectDigest {
            namespace: "n".into(),
            name: name.into(),
            digest: Bytes::from(digest),
        });
        let theirs = KindDetail {
            environment_id: "e".into(),
            kind: "K".into(),
            objects: objects.into(),
            ..KindDetail::default()
        };
        let found = differences(&ours, &theirs);
        assert_eq!(
            found.gone.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(),
            ["gone"]
        );
        let asked: Vec<String> = found
            .request
            .unwrap()
            .objects
            .into_iter()
            .map(|key| key.name)
            .collect();
        assert_eq!(asked, ["changed", "new"]);
    }
}
