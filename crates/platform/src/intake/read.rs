//! The files of a commit, parsed; what did not change is not read again. Blocking: for a thread of its own.

use std::collections::{BTreeMap, BTreeSet};

use c7n_git::{BlobId, CommitId, GitError, RefusedKind, Repository};
use c7n_manifests::{ErrorCode, FileError, Limits, Object, is_manifest_path, parse_file};

type Outcome = Result<Vec<Object>, Vec<FileError>>;

/// The parsed files of one commit.
#[derive(Default)]
pub struct Files {
    commit: Option<CommitId>,
    parsed: BTreeMap<String, Parsed>,
    bytes: usize,
    /// Paths of what is no file.
    refused: BTreeSet<String>,
}

struct Parsed {
    outcome: Outcome,
    /// Of the file.
    bytes: usize,
}

impl Files {
    /// Brings the files to `commit`, from whatever commit they are at.
    pub fn move_to(&mut self, repository: &Repository, commit: &CommitId) -> Result<(), GitError> {
        match self.commit.take().filter(|before| repository.contains(before)) {
            Some(before) => {
                for change in repository.changed(&before, commit)? {
                    self.forget(&change.path);
                    match (change.refused, change.after) {
                        (Some(kind), _) => self.refuse(&change.path, kind),
                        (None, Some(blob)) => self.read(repository, &change.path, &blob)?,
                        (None, None) => {}
                    }
                }
                self.forget_links_that_are_gone(repository, commit)?;
            }
            None => {
                *self = Self::default();
                let tree = repository.tree(commit)?;
                for (path, blob) in &tree.files {
                    self.read(repository, path, blob)?;
                }
                for refused in tree.refused {
                    self.refuse(&refused.path, refused.kind);
                }
            }
        }
        self.commit = Some(*commit);
        Ok(())
    }

    /// A comparison of files does not tell that a link was removed.
    fn forget_links_that_are_gone(
        &mut self,
        repository: &Repository,
        commit: &CommitId,
    ) -> Result<(), GitError> {
        if self.refused.is_empty() {
            return Ok(());
        }
        let tree = repository.tree(commit)?;
        let there: BTreeSet<&str> = tree.refused.iter().map(|refused| refused.path.as_str()).collect();
        for path in std::mem::take(&mut self.refused) {
            if there.contains(path.as_str()) {
                self.refused.insert(path);
            } else if !tree.files.contains_key(&path) {
                self.forget(&path);
            }
        }
        Ok(())
    }

    pub fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.parsed.values().map(|parsed| &parsed.outcome)
    }

    /// Of all files that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub fn of_bytes(bytes: usize) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }

    fn keep(&mut self, path: &str, outcome: Outcome, bytes: usize) {
        self.forget(path);
        self.bytes += bytes;
        self.parsed.insert(path.to_owned(), Parsed { outcome, bytes });
    }

    fn forget(&mut self, path: &str) {
        if let Some(parsed) = self.parsed.remove(path) {
            self.bytes -= parsed.bytes;
        }
    }

    fn read(&mut self, repository: &Repository, path: &str, blob: &BlobId) -> Result<(), GitError> {
        if !is_manifest_path(path) {
            return Ok(());
        }
        let limits = Limits::default();
        let (outcome, bytes) = match repository.read(blob, limits.bytes as u64) {
            Ok(bytes) => (parse_file(path, &bytes, &limits), bytes.len()),
            // Too big for a manifest is a fault of this file, not of the repository.
            Err(error @ GitError::TooBig { .. }) => (
                Err(vec![file_error(path, ErrorCode::Budget, error.to_string())]),
                0,
            ),
            Err(error) => return Err(error),
        };
        self.keep(path, outcome, bytes);
        Ok(())
    }

    /// What lies in a hidden folder is nobody's manifest; what has a dangerous name is told of wherever it is.
    fn refuse(&mut self, path: &str, kind: RefusedKind) {
        if kind == RefusedKind::BadPath || !path.split('/').any(|part| part.starts_with('.')) {
            let error = file_error(path, ErrorCode::NotAFile, kind.to_string());
            self.keep(path, Err(vec![error]), 0);
            self.refused.insert(path.to_owned());
        }
    }
}

fn file_error(path: &str, code: ErrorCode, message: String) -> FileError {
    FileError {
        file: path.to_owned(),
        line: 1,
        column: 1,
        code,
        object: None,
        message,
    }
}
