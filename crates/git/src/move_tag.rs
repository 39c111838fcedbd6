//! Moves a reference of a local repository by compare-and-swap.

use std::fs;
use std::path::Path;
use std::time::Duration;

use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};

use crate::repository::{check_reference, lock_path};
use crate::{CommitId, GitError, Repository, Result};

/// A reference is locked for milliseconds. A lock this old has lost its owner, most likely to a power cut.
const ABANDONED: Duration = Duration::from_secs(120);

impl Repository {
    /// Sets `reference` to `new` (`None` deletes it) if it shows `expected` (`None`: it must not exist).
    ///
    /// A lock that a dead process left behind is cleared once it is two minutes old; before that it is
    /// [`GitError::Locked`].
    pub fn move_tag(
        &self,
        reference: &str,
        expected: Option<&CommitId>,
        new: Option<&CommitId>,
    ) -> Result<()> {
        check_reference(reference)?;
        if let Some(new) = new
            && !self.contains(new)
        {
            return Err(GitError::MissingObject { id: new.to_string() });
        }
        match self.swap(reference, expected, new) {
            Err(GitError::Locked { path }) if clear_abandoned(&path) => self.swap(reference, expected, new),
            outcome => outcome,
        }
    }

    fn swap(&self, reference: &str, expected: Option<&CommitId>, new: Option<&CommitId>) -> Result<()> {
        if expected.is_none() && new.is_none() {
            let found = self.resolve(reference)?;
            return if found.is_none() {
                Ok(())
            } else {
                Err(changed(reference, expected, found))
            };
        }
        let previous = match expected {
            Some(id) => PreviousValue::MustExistAndMatch(gix::refs::Target::Object(id.to_gix())),
            None => PreviousValue::MustNotExist,
        };
        let change = match new {
            Some(id) => Change::Update {
                log: LogChange::default(),
                expected: previous,
                new: gix::refs::Target::Object(id.to_gix()),
            },
            None => Change::Delete {
                expected: previous,
                log: RefLog::AndReference,
            },
        };
        let name = reference.try_into().map_err(|_| GitError::BadReference {
            reference: reference.into(),
        })?;
        let outcome = self.local().edit_references_as(
            [RefEdit {
                change,
                name,
                deref: false,
            }],
            None,
        );
        let Err(error) = outcome else { return Ok(()) };
        // Which rule was broken is asked of the disk, not of the wording of an error.
        for lock in [
            lock_path(self.path(), reference),
            self.path().join("packed-refs.lock"),
        ] {
            if lock.exists() {
                return Err(GitError::Locked { path: lock });
            }
        }
        let found = self.resolve(reference)?;
        if found.as_ref() != expected {
            return Err(changed(reference, expected, found));
        }
        Err(GitError::storage(error))
    }
}

fn changed(reference: &str, expected: Option<&CommitId>, found: Option<CommitId>) -> GitError {
    GitError::RefChanged {
        reference: reference.into(),
        expected: expected.copied(),
        found,
    }
}

fn clear_abandoned(lock: &Path) -> bool {
    let age = fs::metadata(lock)
        .and_then(|found| found.modified())
        .ok()
        .and_then(|at| at.elapsed().ok());
    if age.is_none_or(|age| age < ABANDONED) {
        return false;
    }
    tracing::warn!(lock = %lock.display(), ?age, "removing the lock that a dead process left behind");
    fs::remove_file(lock).is_ok()
}
