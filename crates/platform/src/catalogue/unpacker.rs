//! Reads charts that somebody else packed, a few at a time.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use c7n_charts::{ArchiveError, Budget, ChartArchive};
use tokio::sync::Semaphore;

/// One takes a core for as long as 100 MiB take to be unpacked (some tenths of a second), and keeps up to 25 MiB of it, five files of
/// 5 MiB. Two leave the rest of a small machine to everybody else; more would not make the queue shorter.
const AT_ONCE: usize = 2;
/// Some twenty archives that are as bad as can be, in front of this one.
const WAIT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("the platform reads as many charts as it can at this moment")]
    Busy,
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Cheap to clone; clones share the limit.
#[derive(Clone)]
pub struct Unpacker(Arc<Semaphore>);

impl Default for Unpacker {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Unpacker {
    /// `open` is called away from the threads that serve sockets.
    pub async fn read<R: Read>(
        &self,
        open: impl FnOnce() -> std::io::Result<R> + Send + 'static,
    ) -> Result<ChartArchive, UnpackError> {
        let permit = tokio::time::timeout(WAIT, Arc::clone(&self.0).acquire_owned());
        let permit = permit.await.map_err(|_| UnpackError::Busy)?;
        // It goes along: somebody who hangs up makes no room before the work is done.
        let permit = permit.map_err(|_| UnpackError::Busy)?;
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let source = open().map_err(|error| ArchiveError::Read(error.to_string()))?;
            ChartArchive::read(source, &Budget::default())
        });
        match work.await {
            Ok(read) => Ok(read?),
            // The work does not panic by itself, and nobody aborts it.
            Err(broken) => std::panic::resume_unwind(broken.into_panic()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_would_wait_too_long_is_told_so() {
        let unpacker = Unpacker::default();
        let held = Arc::clone(&unpacker.0).acquire_many_owned(2).await.unwrap();
        let read = || unpacker.read(|| Ok(&b"no chart"[..]));
        assert!(matches!(read().await, Err(UnpackError::Busy)));
        drop(held);
        assert!(matches!(
            read().await,
            Err(UnpackError::Archive(ArchiveError::NotGzip))
        ));
    }
}
