//! The folder of the recordings: where each is, and how long they are kept.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::fs;
use tokio_util::sync::CancellationToken;

use super::cast::Head;
use super::recorder::Recorder;
use crate::store::{Store, StoreError};

const CLOCK: Duration = Duration::from_secs(60 * 60);
const EXTENSION: &str = "cast";

#[derive(Debug, Clone)]
pub struct Recordings {
    folder: PathBuf,
    kept: Duration,
    /// Bytes of one recording.
    limit: u64,
}

impl Recordings {
    pub fn new(data: &Path, kept: Duration, limit: u64) -> Self {
        Self {
            folder: data.join("recordings"),
            kept,
            limit,
        }
    }

    /// `id` is one that the platform gave to a stream.
    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(id).with_extension(EXTENSION)
    }

    pub(super) async fn begin(&self, id: &str, head: &Head<'_>) -> io::Result<Recorder> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .await?;
        Recorder::open(&self.path(id), head, self.limit).await
    }

    /// `None` when it is not kept any longer.
    pub async fn read(&self, id: &str) -> io::Result<Option<fs::File>> {
        match fs::File::open(self.path(id)).await {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes what is too old, every hour.
    pub(super) async fn keep_few(self, store: Store, shutdown: CancellationToken) {
        let mut clock = tokio::time::interval(CLOCK);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = clock.tick() => {}
            }
            if let Err(error) = self.delete_old(&store, SystemTime::now()).await {
                tracing::warn!(%error, "old recordings were not deleted; the next round tries again");
            }
        }
    }

    async fn delete_old(&self, store: &Store, now: SystemTime) -> Result<(), DeleteError> {
        let mut entries = match fs::read_dir(&self.folder).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            let written = entry.metadata().await?.modified()?;
            let old = now.duration_since(written).is_ok_and(|age| age > self.kept);
            let id = path.file_stem().and_then(|stem| stem.to_str());
            if let (true, Some(id)) = (old && path.extension().is_some_and(|e| e == EXTENSION), id) {
                let mut tx = store.write().await?;
                tx.forget_recording(id).await?;
                tx.commit().await?;
                fs::remove_file(&path).await?;
            }
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
enum DeleteError {
    #[error(transparent)]
    Folder(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn recordings_are_deleted_when_they_are_old() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(&data.path().join("c7n.db")).await.unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let recordings = Recordings::new(data.path(), day, 1000);
        recordings.delete_old(&store, SystemTime::now()).await.unwrap();
        let head = Head {
            terminal: true,
            size: None,
            time_ms: 0,
            title: "x",
        };
        recordings.begin("one", &head).await.unwrap();

        recordings.delete_old(&store, SystemTime::now()).await.unwrap();
        assert!(recordings.read("one").await.unwrap().is_some());
        recordings
            .delete_old(&store, SystemTime::now() + 2 * day)
            .await
            .unwrap();
        assert!(recordings.read("one").await.unwrap().is_none());
    }
}
