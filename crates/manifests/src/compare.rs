//! Two commits of one environment, object by object: what the platform writes down as its record of a change.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    identity::{ManifestDigest, ObjectId},
    parse::Object,
};

/// What is remembered of a tree: enough to compare it with the next one.
pub type Index = BTreeMap<ObjectId, Indexed>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indexed {
    pub digest: ManifestDigest,
    pub file: String,
}

impl crate::assemble::Tree {
    pub fn index(&self) -> Index {
        self.objects
            .iter()
            .map(|object| (object.id.clone(), Indexed::from(object)))
            .collect()
    }
}

impl From<&Object> for Indexed {
    fn from(object: &Object) -> Self {
        Self {
            digest: object.digest,
            file: object.source.file.clone(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    Create,
    Update,
    Delete,
}

/// One object that differs between two commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub change: Change,
    pub id: ObjectId,
    /// Where it is now, or was before it was deleted.
    pub file: String,
    /// Where it was, if it moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    pub before: Option<ManifestDigest>,
    pub after: Option<ManifestDigest>,
}

/// Compares by object, so that moving one between files is no deletion. Objects of a held file (one with errors) stay as they were.
pub fn compare(old: &Index, new: &Index, held_files: &BTreeSet<String>) -> Vec<Record> {
    let mut records = Vec::new();
    for (id, now) in new {
        let before = old.get(id);
        let change = match before {
            None => Change::Create,
            Some(before) if before.digest != now.digest || before.file != now.file => Change::Update,
            Some(_) => continue,
        };
        records.push(Record {
            change,
            id: id.clone(),
            file: now.file.clone(),
            moved_from: before
                .filter(|before| before.file != now.file)
                .map(|before| before.file.clone()),
            before: before.map(|before| before.digest),
            after: Some(now.digest),
        });
    }
    for (id, before) in old {
        if !new.contains_key(id) && !held_files.contains(&before.file) {
            records.push(Record {
                change: Change::Delete,
                id: id.clone(),
                file: before.file.clone(),
                moved_from: None,
                before: Some(before.digest),
                after: None,
            });
        }
    }
    records.sort_by(|a, b| a.id.cmp(&b.id));
    records
}

/// What to remember after [`compare`]: the new tree, and what held files had before.
pub fn carry_over(old: &Index, mut new: Index, held_files: &BTreeSet<String>) -> Index {
    if held_files.is_empty() {
        return new;
    }
    for (id, before) in old {
        if held_files.contains(&before.file) && !new.contains_key(id) {
            new.insert(id.clone(), before.clone());
        }
    }
    new
}
