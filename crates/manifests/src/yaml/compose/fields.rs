//! The entries of a mapping that is still open: found quickly, overwritten as go-yaml does it.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use super::faults::merge_fault;
use crate::{
    parse::Position,
    yaml::{
        Fault,
        node::{Entry, Kind, Node},
    },
};

/// Mappings with more keys than this are indexed; looking through fewer is quicker than hashing them.
const INDEX_FROM: usize = 16;

#[derive(Default)]
pub(super) struct Fields {
    pub entries: Vec<Entry>,
    /// Whether the file itself wrote the entry, or a merge key brought it.
    pub written: Vec<bool>,
    /// From the hash of a key to its entry, in mappings of [`INDEX_FROM`] keys and more.
    index: HashMap<u64, usize>,
    hasher: RandomState,
    pub pending: Pending,
}

#[derive(Default)]
pub(super) enum Pending {
    #[default]
    Key,
    /// A key, and the entry it replaces.
    Value(String, Position, Option<usize>),
    /// The value of `<<`.
    Merge,
    /// The value of a key that was refused: read and thrown away.
    Nothing,
}

impl Fields {
    pub fn find(&self, key: &str) -> Option<usize> {
        if self.entries.len() < INDEX_FROM {
            self.entries.iter().position(|entry| entry.key == key)
        } else {
            let found = *self.index.get(&self.hasher.hash_one(key))?;
            if self.entries[found].key == key {
                return Some(found);
            }
            // Two keys with one hash: next to impossible, and right all the same.
            self.entries.iter().position(|entry| entry.key == key)
        }
    }

    pub fn set(&mut self, replaces: Option<usize>, entry: Entry, written: bool) {
        if let Some(found) = replaces {
            self.entries[found] = entry;
            self.written[found] |= written;
            return;
        }
        if self.entries.len() + 1 == INDEX_FROM {
            self.index = self
                .entries
                .iter()
                .enumerate()
                .map(|(at, e)| (self.hasher.hash_one(e.key.as_str()), at))
                .collect();
        }
        if self.entries.len() + 1 >= INDEX_FROM {
            self.index
                .insert(self.hasher.hash_one(entry.key.as_str()), self.entries.len());
        }
        // The usual growth starts at four entries, and most mappings are smaller than their memory then.
        if self.entries.len() < 4 {
            self.entries.reserve_exact(1);
        }
        self.entries.push(entry);
        self.written.push(written);
    }

    /// In go-yaml v2 a merge key sets its keys where it stands: keys before it are overwritten, keys after it overwrite. In a
    /// list of mappings the earlier ones win.
    pub fn merge(&mut self, node: Node) -> Result<(), Fault> {
        let sources = match node.kind {
            Kind::Map(_) => vec![node],
            Kind::List(items) => items,
            _ => return Err(merge_fault(node.at)),
        };
        if let Some(odd) = sources.iter().find(|source| !matches!(source.kind, Kind::Map(_))) {
            return Err(merge_fault(odd.at));
        }
        for source in sources.into_iter().rev() {
            if let Kind::Map(entries) = source.kind {
                for entry in entries {
                    let replaces = self.find(&entry.key);
                    self.set(replaces, entry, false);
                }
            }
        }
        Ok(())
    }
}
