//! The file of one recording. Whoever cannot write it ends the session: an environment that wants recordings has no session
//! without one.

use std::io;
use std::path::Path;
use std::time::Instant;

use c7n_stream::Piece;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

use super::cast::{Cast, Head};
use super::state::Side;

/// What waits in memory, at most, until it is written; the keeper has it written every second.
const PENDING: usize = 64 << 10;

pub struct Recorder {
    file: File,
    cast: Cast,
    began: Instant,
    /// Of the pieces of each side, the first that is not in it yet: after a break they are said again.
    next: [u64; 2],
    pending: Vec<u8>,
    size: u64,
    /// So much of it is certainly there.
    whole: u64,
    limit: u64,
    full: bool,
    broken: bool,
}

impl Recorder {
    pub async fn open(path: &Path, head: &Head<'_>, limit: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).mode(0o600).open(path).await?;
        let mut pending = Vec::new();
        let mut recorder = Self {
            file,
            cast: Cast::begin(head, &mut pending),
            began: Instant::now(),
            next: [0; 2],
            pending,
            size: 0,
            whole: 0,
            limit,
            full: false,
            broken: false,
        };
        recorder.flush().await?;
        Ok(recorder)
    }

    /// Broken off while it waits, it has taken the piece all the same.
    pub async fn take(&mut self, side: Side, piece: &Piece) -> io::Result<()> {
        let next = &mut self.next[side as usize];
        if self.full || piece.seq < *next {
            return Ok(());
        }
        *next = piece.seq.saturating_add(1);
        let at = self.began.elapsed();
        self.cast.take(at, &piece.part, &mut self.pending);
        if self.size + self.pending.len() as u64 > self.limit {
            self.full = true;
            let words = "the recording is as big as it may become; what follows is not in it";
            self.cast.note(at, words, &mut self.pending);
            return self.flush().await;
        }
        if self.pending.len() >= PENDING {
            self.flush().await?;
        }
        Ok(())
    }

    /// After this it is in the file. After an error what was there before still is, and nothing follows it.
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("it broke off before"));
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = self.write().await;
        match written {
            Ok(()) => self.whole = self.size,
            Err(_) => {
                self.broken = true;
                // A line that is cut in the middle would spoil the rest for a player. The session is cut whether this works or not.
                let _ = self.file.set_len(self.whole).await;
            }
        }
        written
    }

    async fn write(&mut self) -> io::Result<()> {
        self.file.write_all(&self.pending).await?;
        self.size += self.pending.len() as u64;
        self.pending.clear();
        self.file.flush().await
    }

    /// After this it is on the disk.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.file.sync_all().await
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use c7n_stream::Part;

    use super::*;

    const HEAD: Head<'static> = Head {
        terminal: true,
        size: None,
        time_ms: 0,
        title: "x",
    };

    #[tokio::test]
    async fn what_cannot_be_written_is_an_error() {
        assert!(Recorder::open(Path::new("/dev/full"), &HEAD, 1000).await.is_err());
    }

    #[tokio::test]
    async fn a_recording_ends_with_a_note_when_it_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.cast");
        let mut recorder = Recorder::open(&path, &HEAD, 4000).await.unwrap();
        for seq in 0..100 {
            let part = Part::Output(Bytes::from(vec![b'x'; 1000]));
            recorder.take(Side::Agent, &Piece { seq, part }).await.unwrap();
        }
        recorder.finish().await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() < 6000, "{}", text.len());
        let last = text.lines().last().unwrap();
        assert!(last.contains("as big as it may become"), "{last}");
    }
}
