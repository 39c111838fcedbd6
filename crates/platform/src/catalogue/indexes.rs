//! Indexes of the chart repositories, each kept for as long as it is right.
//!
//! Agents and `helm repo update` ask for them all the time, and nearly always nothing has changed since. Whether something has is
//! one number in the database, which every platform on it sees.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use c7n_charts::Digest;

/// Of all that are kept: the indexes of a few large projects, or of hundreds of usual ones.
const MOST_BYTES: usize = 32 << 20;

/// A text with its entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    pub text: Bytes,
    pub etag: String,
}

impl Tagged {
    pub fn new(text: String) -> Self {
        let etag = format!("\"{}\"", Digest::of(text.as_bytes()).hex());
        Self {
            text: text.into(),
            etag,
        }
    }
}

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Indexes(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    by_project: HashMap<String, Entry>,
    bytes: usize,
    /// Grows with every use.
    clock: u64,
}

struct Entry {
    revision: i64,
    index: Tagged,
    used: u64,
}

impl Indexes {
    /// The index of this project, if it was made of this revision.
    pub fn get(&self, project: &str, revision: i64) -> Option<Tagged> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let now = kept.clock;
        let entry = kept.by_project.get_mut(project)?;
        entry.used = now;
        (entry.revision == revision).then(|| entry.index.clone())
    }

    /// `revision` as it was before the index was made: one that is too old only makes it be made again.
    pub fn keep(&self, project: &str, revision: i64, index: Tagged) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.forget(project);
        while kept.bytes + index.text.len() > MOST_BYTES {
            let oldest = kept.by_project.iter().min_by_key(|(_, entry)| entry.used);
            match oldest.map(|(project, _)| project.clone()) {
                Some(oldest) => kept.forget(&oldest),
                // Too large for all of the room.
                None => return,
            }
        }
        kept.bytes += index.text.len();
        kept.clock += 1;
        let used = kept.clock;
        kept.by_project.insert(
            project.to_owned(),
            Entry {
                revision,
                index,
                used,
            },
        );
    }
}

impl Kept {
    fn forget(&mut self, project: &str) {
        if let Some(old) = self.by_project.remove(project) {
            self.bytes -= old.index.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: usize) -> Tagged {
        Tagged::new("x".repeat(bytes))
    }

    #[test]
    fn only_the_newest_revision_is_given_and_the_room_is_bounded() {
        let indexes = Indexes::default();
        indexes.keep("a", 1, of(10));
        assert_eq!(indexes.get("a", 1), Some(of(10)));
        assert_eq!(indexes.get("a", 2), None);
        assert_eq!(indexes.get("b", 1), None);

        indexes.keep("b", 1, of(MOST_BYTES / 2));
        indexes.get("a", 1);
        indexes.keep("c", 1, of(MOST_BYTES / 2));
        assert!(
            indexes.get("b", 1).is_none(),
            "the one that was used least lately goes"
        );
        assert!(indexes.get("a", 1).is_some() && indexes.get("c", 1).is_some());

        indexes.keep("d", 1, of(MOST_BYTES + 1));
        assert!(indexes.get("d", 1).is_none());
        assert_eq!(indexes.0.lock().unwrap().bytes, 0);
    }
}
