//! Which files differ between two commits, by their trees alone: history and renames play no part.

use std::collections::BTreeMap;

use gix::bstr::{BStr, BString, ByteSlice, ByteVec};
use gix::diff::tree::visit::{Action, Change};
use gix::objs::TreeRefIter;
use gix::objs::tree::EntryMode;

use crate::tree::{Entry, MAX_FILES, is_good_component, judge};
use crate::{BlobId, CommitId, GitError, RefusedKind, Repository, Result};

/// A path whose content differs. `before` and `after` are `None` where no readable file was or is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    pub path: String,
    pub before: Option<BlobId>,
    pub after: Option<BlobId>,
    /// Set where the new commit has something at this path that is not read.
    pub refused: Option<RefusedKind>,
}

impl Repository {
    /// What turns the files of `old` into the files of `new`, sorted by path.
    pub fn changed(&self, old: &CommitId, new: &CommitId) -> Result<Vec<FileChange>> {
        let repository = self.local();
        let tree_of = |commit: &CommitId| -> Result<gix::Tree<'_>> {
            self.find_commit(&repository, commit)?
                .tree()
                .map_err(GitError::storage)
        };
        let (old, new) = (tree_of(old)?, tree_of(new)?);
        if old.id == new.id {
            return Ok(Vec::new());
        }
        let mut seen = Seen::default();
        let outcome = gix::diff::tree(
            TreeRefIter::from_bytes(&old.data, old.id.kind()),
            TreeRefIter::from_bytes(&new.data, new.id.kind()),
            &mut gix::diff::tree::State::default(),
            &repository.objects,
            &mut seen,
        );
        if seen.changes.len() > MAX_FILES {
            let what = "the number of changed files".to_owned();
            return Err(GitError::TooBig {
                what,
                limit: MAX_FILES as u64,
            });
        }
        outcome.map_err(GitError::storage)?;
        Ok(seen.changes.into_values().filter(is_a_change).collect())
    }
}

/// A file that became a symlink is a change; a symlink that became another one is none.
fn is_a_change(change: &FileChange) -> bool {
    change.before != change.after || change.refused.is_some()
}

/// Collects what `gix` walks over. A file that becomes a folder comes as two visits of one path.
#[derive(Default)]
struct Seen {
    changes: BTreeMap<BString, FileChange>,
    path: BString,
    folders: std::collections::VecDeque<BString>,
}

enum Side {
    Before,
    After,
}

impl Seen {
    fn note(&mut self, side: Side, mode: EntryMode, id: gix::ObjectId) {
        let path = self.path.to_str_lossy().into_owned();
        let components_are_good = self.path.split(|byte| *byte == b'/').all(is_good_component);
        let name = self.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let entry = match judge(BStr::new(name), &path, mode.kind()) {
            Entry::Folder => return,
            _ if !components_are_good => Entry::Refused(RefusedKind::BadPath),
            entry => entry,
        };
        let change = self.changes.entry(self.path.clone()).or_insert(FileChange {
            path,
            before: None,
            after: None,
            refused: None,
        });
        match (side, entry) {
            (Side::Before, Entry::File) => change.before = Some(BlobId::from_gix(&id)),
            (Side::After, Entry::File) => change.after = Some(BlobId::from_gix(&id)),
            (Side::After, Entry::Refused(kind)) => change.refused = Some(kind),
            _ => {}
        }
    }
}

impl gix::diff::tree::Visit for Seen {
    fn pop_front_tracked_path_and_set_current(&mut self) {
        self.path = self.folders.pop_front().unwrap_or_default();
    }

    fn push_back_tracked_path_component(&mut self, component: &BStr) {
        self.push_path_component(component);
        self.folders.push_back(self.path.clone());
    }

    fn push_path_component(&mut self, component: &BStr) {
        if !self.path.is_empty() {
            self.path.push_byte(b'/');
        }
        self.path.push_str(component);
    }

    fn pop_path_component(&mut self) {
        let end = self.path.rfind_byte(b'/').unwrap_or(0);
        self.path.truncate(end);
    }

    fn visit(&mut self, change: Change) -> Action {
        match change {
            Change::Addition { entry_mode, oid, .. } => self.note(Side::After, entry_mode, oid),
            Change::Deletion { entry_mode, oid, .. } => self.note(Side::Before, entry_mode, oid),
            Change::Modification {
                previous_entry_mode,
                previous_oid,
                entry_mode,
                oid,
            } => {
                self.note(Side::Before, previous_entry_mode, previous_oid);
                self.note(Side::After, entry_mode, oid);
            }
        }
        if self.changes.len() > MAX_FILES {
            Action::Break(())
        } else {
            Action::Continue(())
        }
    }
}
