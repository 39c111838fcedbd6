//! What [`assemble`](crate::assemble) finds, without the objects themselves: enough to compare two commits and to tell what is
//! wrong. The files are only borrowed, so that a push of one file in a thousand copies no manifest.

use std::collections::BTreeSet;

use crate::{
    assemble::duplicates,
    compare::{Index, Indexed},
    confine::{Confinement, Scope, crd_scopes, scope_within},
    error::FileError,
    identity::{GroupKind, ObjectId},
    parse::Object,
};

/// A [`Tree`](crate::Tree) of which only names and digests are known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Survey {
    /// The objects of files without any error.
    pub index: Index,
    /// By file and line.
    pub errors: Vec<FileError>,
}

impl Survey {
    /// The files that have errors: what they held before stays as it is.
    pub fn held_files(&self) -> BTreeSet<String> {
        self.errors.iter().map(|error| error.file.clone()).collect()
    }
}

/// Judges by the same rules as [`assemble`](crate::assemble), and gives the same index and the same errors.
pub fn survey<'a>(
    files: impl IntoIterator<Item = &'a Result<Vec<Object>, Vec<FileError>>>,
    confinement: &Confinement,
    scope: &dyn Fn(&GroupKind) -> Option<Scope>,
) -> Survey {
    let mut parsed: Vec<&Object> = Vec::new();
    let mut errors = Vec::new();
    for outcome in files {
        match outcome {
            Ok(objects) => parsed.extend(objects),
            Err(found) => errors.extend(found.iter().cloned()),
        }
    }
    let defined = crd_scopes(parsed.iter().copied());
    let mut confined = Vec::with_capacity(parsed.len());
    for object in parsed {
        match scope_within(object, confinement, scope, &defined) {
            Ok(scope) => {
                let namespace = (scope == Scope::Namespaced).then(|| confinement.namespace.clone());
                let id = ObjectId {
                    namespace,
                    group: object.id.group.clone(),
                    kind: object.id.kind.clone(),
                    name: object.id.name.clone(),
                };
                confined.push((id, object));
            }
            Err(error) => errors.push(error),
        }
    }
    errors.extend(duplicates(
        confined.iter().map(|(id, object)| (id, &object.source)),
    ));
    errors.sort();
    let held: BTreeSet<&str> = errors.iter().map(|error| error.file.as_str()).collect();
    let index = confined
        .into_iter()
        .filter(|(_, object)| !held.contains(object.source.file.as_str()))
        .map(|(id, object)| (id, Indexed::from(object)))
        .collect();
    Survey { index, errors }
}
