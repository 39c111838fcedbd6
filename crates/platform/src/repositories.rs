//! Where the bare repositories lie: one folder per environment, named by its id, so that no name ever becomes a path.

use std::path::{Path, PathBuf};

use c7n_git::{GitError, Repository};

#[derive(Debug, Clone)]
pub struct Repositories {
    folder: PathBuf,
}

impl Repositories {
    /// `data` is the data folder of the platform.
    pub fn new(data: &Path) -> Self {
        Self {
            folder: data.join("repositories"),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn path(&self, environment: &str) -> PathBuf {
        self.folder.join(format!("{environment}.git"))
    }

    pub async fn create(&self, environment: &str, branch: &str) -> Result<(), GitError> {
        let (path, branch) = (self.path(environment), branch.to_owned());
        let made = tokio::task::spawn_blocking(move || Repository::init_bare(&path, &branch).map(drop)).await;
        // The closure does not panic, and nobody aborts it.
        made.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))
    }

    /// What cannot be removed is left, and said in the log: nothing refers to it any more.
    pub async fn remove(&self, environment: &str) {
        let path = self.path(environment);
        match tokio::fs::remove_dir_all(&path).await {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), error = %e, "a deleted environment's repository cannot be removed");
            }
            _ => {}
        }
    }
}
