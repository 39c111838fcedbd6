//! Any other file of the repository: written or removed as a whole, if it is still what its writer has seen.

use std::path::Path;

use c7n_api::RepositoryFile;
use c7n_git::{BlobId, GitError, Repository};

use super::DeployError;
use super::plan::Plan;
use super::snapshot::Snapshot;

/// Bytes of a file that is shown.
const SHOWN: u64 = 1 << 20;

pub struct PutFile {
    pub path: String,
    pub content: String,
    pub expected: Option<String>,
    pub message: Option<String>,
}

pub struct RemoveFile {
    pub path: String,
    pub expected: String,
}

impl PutFile {
    pub(super) fn plan(&self, snapshot: &Snapshot) -> Result<Plan, DeployError> {
        check(snapshot, &self.path, self.expected.as_deref())?;
        let verb = if self.expected.is_some() { "Change" } else { "Add" };
        let message = self
            .message
            .clone()
            .filter(|message| !message.trim().is_empty())
            .unwrap_or_else(|| format!("{verb} {}", self.path));
        Ok(Plan::of_file(
            "put-file",
            &self.path,
            Some(self.content.clone()),
            message,
        ))
    }
}

impl RemoveFile {
    pub(super) fn plan(&self, snapshot: &Snapshot) -> Result<Plan, DeployError> {
        if !snapshot.files.contains_key(&self.path) {
            return Err(DeployError::NoFile(self.path.clone()));
        }
        check(snapshot, &self.path, Some(&self.expected))?;
        Ok(Plan::of_file(
            "remove-file",
            &self.path,
            None,
            format!("Remove {}", self.path),
        ))
    }
}

fn check(snapshot: &Snapshot, path: &str, expected: Option<&str>) -> Result<(), DeployError> {
    let there = snapshot.files.get(path).map(BlobId::to_string);
    if there.as_deref() == expected {
        return Ok(());
    }
    Err(DeployError::Changed {
        path: path.to_owned(),
    })
}

pub fn list_files(path: &Path, branch: &str) -> Result<Vec<RepositoryFile>, GitError> {
    let repository = Repository::open(path)?;
    let Some(head) = repository.resolve(&format!("refs/heads/{branch}"))? else {
        return Ok(Vec::new());
    };
    let files = repository.tree(&head)?.files;
    Ok(files
        .into_iter()
        .map(|(path, blob)| RepositoryFile {
            path,
            blob: blob.to_string(),
            commit: head.to_string(),
            content: None,
        })
        .collect())
}

pub fn read_file(path: &Path, branch: &str, file: &str) -> Result<Option<RepositoryFile>, GitError> {
    let repository = Repository::open(path)?;
    let Some(head) = repository.resolve(&format!("refs/heads/{branch}"))? else {
        return Ok(None);
    };
    let Some(blob) = repository.blob_at(&head, file)? else {
        return Ok(None);
    };
    let content = repository.read(&blob, SHOWN)?;
    Ok(Some(RepositoryFile {
        path: file.to_owned(),
        blob: blob.to_string(),
        commit: head.to_string(),
        content: Some(String::from_utf8_lossy(&content).into_owned()),
    }))
}
