//! All files of an environment at one commit to the tree that is wanted: confined, every object claimed by one file only.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    confine::{Confinement, Scope, confine_one, crd_scopes},
    error::{ErrorCode, FileError},
    identity::{GroupKind, ObjectId},
    parse::{Object, Source},
};

/// What an environment is to be, as far as its files could be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    /// Of files without any error, by file and place.
    pub objects: Vec<Object>,
    /// By file and line. An environment that has any is never converged.
    pub errors: Vec<FileError>,
}

impl Tree {
    /// The files that have errors: what they held before stays as it is.
    pub fn held_files(&self) -> BTreeSet<String> {
        self.errors.iter().map(|error| error.file.clone()).collect()
    }
}

/// A file with any error contributes nothing and is listed in `errors`: it holds back itself and no other file.
///
/// `scope` answers from an agent's discovery where there is one, else [`builtin_scope`](crate::builtin_scope) will do.
pub fn assemble(
    files: impl IntoIterator<Item = (String, Result<Vec<Object>, Vec<FileError>>)>,
    confinement: &Confinement,
    scope: &dyn Fn(&GroupKind) -> Option<Scope>,
) -> Tree {
    let mut parsed = Vec::new();
    let mut errors = Vec::new();
    for (_, outcome) in files {
        match outcome {
            Ok(objects) => parsed.extend(objects),
            Err(found) => errors.extend(found),
        }
    }

    let defined = crd_scopes(&parsed);
    let mut confined = Vec::with_capacity(parsed.len());
    for object in parsed {
        match confine_one(object, confinement, scope, &defined) {
            Ok(object) => confined.push(object),
            Err(error) => errors.push(error),
        }
    }
    errors.extend(duplicates(
        confined.iter().map(|object| (&object.id, &object.source)),
    ));
    errors.sort();

    let held: BTreeSet<&str> = errors.iter().map(|error| error.file.as_str()).collect();
    let mut objects: Vec<Object> = confined
        .into_iter()
        .filter(|object| !held.contains(object.source.file.as_str()))
        .collect();
    objects.sort_by(|a, b| order(&a.source).cmp(&order(&b.source)));
    Tree { objects, errors }
}

fn order(source: &Source) -> (&str, usize, u32, u32) {
    (&source.file, source.document, source.at.line, source.at.column)
}

/// Every claim to an object that has another one, each pointing at the other: nobody can tell which of them is meant.
pub(crate) fn duplicates<'a>(objects: impl Iterator<Item = (&'a ObjectId, &'a Source)>) -> Vec<FileError> {
    // Nearly every object is claimed once: only the second claim makes a list.
    let mut first: HashMap<&ObjectId, &Source> = HashMap::new();
    let mut claims: BTreeMap<&ObjectId, Vec<&Source>> = BTreeMap::new();
    for (id, source) in objects {
        match first.entry(id) {
            Entry::Vacant(free) => {
                free.insert(source);
            }
            Entry::Occupied(taken) => claims.entry(id).or_insert_with(|| vec![taken.get()]).push(source),
        }
    }
    let mut errors = Vec::new();
    for (id, mut sources) in claims {
        sources.sort_by(|a, b| order(a).cmp(&order(b)));
        for (at, source) in sources.iter().enumerate() {
            let other = sources[usize::from(at == 0)];
            let elsewhere = if other.file == source.file {
                format!("at line {} of this file", other.at.line)
            } else {
                format!("in {} at line {}", other.file, other.at.line)
            };
            errors.push(FileError {
                file: source.file.clone(),
                line: source.at.line,
                column: source.at.column,
                code: ErrorCode::DuplicateObject,
                object: Some(id.to_string()),
                message: format!("{id} is also {elsewhere}; keep one of the two"),
            });
        }
    }
    errors
}
