//! Archives on the disk, each under the digest of its content: written once, never changed, shared by whoever has the same.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use c7n_charts::Digest;
use tokio::sync::{Mutex, MutexGuard};

#[derive(Debug, thiserror::Error)]
#[error("the archive {digest} cannot be {what}: {source}; look after the disk of the platform's data folder")]
pub struct ArchivesError {
    digest: String,
    what: &'static str,
    source: io::Error,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Archives {
    folder: Arc<Path>,
    /// Held from the writing of an archive until its row is stored, and while one that nobody uses is removed.
    changing: Arc<Mutex<()>>,
}

impl Archives {
    /// `data` is the data folder of the platform.
    pub fn new(data: &Path) -> Self {
        Self {
            folder: data.join("charts").into(),
            changing: Arc::default(),
        }
    }

    pub async fn hold(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// On the disk when it returns.
    pub async fn keep(&self, digest: Digest, bytes: bytes::Bytes) -> Result<(), ArchivesError> {
        let path = self.path(&digest.hex());
        let work = tokio::task::spawn_blocking(move || write_once(&path, &bytes));
        done(work.await).map_err(fail(&digest.hex(), "kept"))
    }

    /// `digest` in hexadecimal. `None` when it is not there.
    pub async fn open(&self, digest: &str) -> Result<Option<tokio::fs::File>, ArchivesError> {
        match tokio::fs::File::open(self.path(digest)).await {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fail(digest, "read")(error)),
        }
    }

    /// What cannot be removed is left, and said in the log: nothing refers to it any more.
    pub async fn remove(&self, digest: &str) {
        match tokio::fs::remove_file(self.path(digest)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(digest, %error, "an archive that nobody uses cannot be removed");
            }
            _ => {}
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        // Digests are 64 hexadecimal digits: they come from `Digest` or from the database.
        let (head, _) = digest.split_at(digest.len().min(2));
        self.folder.join(head).join(format!("{digest}.tgz"))
    }
}

fn write_once(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let beside = path.with_extension(format!("{:016x}", rand::random::<u64>()));
    let outcome = std::fs::File::create_new(&beside)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&beside, path))
        .and_then(|()| std::fs::File::open(folder)?.sync_all());
    if outcome.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    outcome
}

fn done(outcome: Result<io::Result<()>, tokio::task::JoinError>) -> io::Result<()> {
    match outcome {
        Ok(outcome) => outcome,
        // The work does not panic by itself, and nobody aborts it.
        Err(broken) => std::panic::resume_unwind(broken.into_panic()),
    }
}

fn fail(digest: &str, what: &'static str) -> impl FnOnce(io::Error) -> ArchivesError {
    let digest = digest.to_owned();
    move |source| ArchivesError { digest, what, source }
}
