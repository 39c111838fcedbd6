//! The files of a commit, parsed; what did not change is not read again. Blocking: for a thread of its own.

use std::collections::BTreeMap;

use c7n_git::{BlobId, CommitId, GitError, RefusedKind, Repository};
use c7n_manifests::{ErrorCode, FileError, Limits, Object, is_manifest_path, parse_file};

type Outcome = Result<Vec<Object>, Vec<FileError>>;

/// The parsed files of one commit.
#[derive(Default)]
pub struct Files {
    commit: Option<CommitId>,
    parsed: BTreeMap<String, Outcome>,
}

impl Files {
    /// Brings the files to `commit`, from whatever commit they are at.
    pub fn move_to(&mut self, repository: &Repository, commit: &CommitId) -> Result<(), GitError> {
        match self.commit.take().filter(|before| repository.contains(before)) {
            Some(before) => {
                for change in repository.changed(&before, commit)? {
                    self.parsed.remove(&change.path);
                    match (change.refused, change.after) {
                        (Some(kind), _) => self.refuse(&change.path, kind),
                        (None, Some(blob)) => self.read(repository, &change.path, &blob)?,
                        (None, None) => {}
                    }
                }
            }
            None => {
                self.parsed.clear();
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

    pub fn outcomes(&self) -> impl Iterator<Item = (String, Outcome)> {
        self.parsed
            .iter()
            .map(|(path, outcome)| (path.clone(), outcome.clone()))
    }

    fn read(&mut self, repository: &Repository, path: &str, blob: &BlobId) -> Result<(), GitError> {
        if !is_manifest_path(path) {
            return Ok(());
        }
        let limits = Limits::default();
        let outcome = match repository.read(blob, limits.bytes as u64) {
            Ok(bytes) => parse_file(path, &bytes, &limits),
            // Too big for a manifest is a fault of this file, not of the repository.
            Err(error @ GitError::TooBig { .. }) => {
                Err(vec![file_error(path, ErrorCode::Budget, error.to_string())])
            }
            Err(error) => return Err(error),
        };
        self.parsed.insert(path.to_owned(), outcome);
        Ok(())
    }

    /// Links and the like are told wherever they might be meant as manifests.
    fn refuse(&mut self, path: &str, kind: RefusedKind) {
        self.parsed.insert(
            path.to_owned(),
            Err(vec![file_error(path, ErrorCode::NotAFile, kind.to_string())]),
        );
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
