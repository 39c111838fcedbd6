//! The credential in a file of the agent's folder.

use std::io;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{CredentialStore, KeepError, Kept};
use crate::files;

pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    pub fn new(folder: &Path) -> Self {
        Self {
            path: folder.join("credential"),
        }
    }

    fn place(&self) -> String {
        format!("the credential in {}", self.path.display())
    }
}

impl CredentialStore for FileStore {
    fn load(&self) -> BoxFuture<'_, Result<Option<Kept>, KeepError>> {
        let read = files::read(&self.path);
        async move {
            let content = read.map_err(|cause| KeepError::Read {
                place: self.place(),
                cause: cause.to_string(),
            })?;
            Ok(content.and_then(|content| serde_json::from_slice(&content).ok()))
        }
        .boxed()
    }

    fn save(&self, kept: Kept) -> BoxFuture<'_, Result<(), KeepError>> {
        async move {
            let path = self.path.clone();
            let write = move || files::replace(&path, &serde_json::to_vec(&kept)?);
            tokio::task::spawn_blocking(write)
                .await
                .map_err(io::Error::other)
                .flatten()
                .map_err(|cause| KeepError::Write {
                    place: self.place(),
                    cause: cause.to_string(),
                })
        }
        .boxed()
    }
}
