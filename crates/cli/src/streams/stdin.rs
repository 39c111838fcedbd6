//! Standard input, read by a thread of its own, no further ahead than is asked for.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;

use anyhow::{Context, Result};
use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc;

const CHUNK: usize = 32 << 10;

/// Ends its thread when dropped.
pub struct Stdin {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    _closed_when_dropped: PipeWriter,
}

impl Stdin {
    pub fn start() -> Result<Self> {
        let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let (dropped, closed_when_dropped) = io::pipe()?;
        let (outbox, chunks) = mpsc::channel(1);
        std::thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || read_all(stdin, &dropped, &outbox))
            .context("starting a thread for the input")?;
        Ok(Self {
            chunks,
            _closed_when_dropped: closed_when_dropped,
        })
    }

    /// `None` at the end. May be dropped and called again.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.chunks.recv().await.transpose()
    }
}

fn read_all(mut stdin: File, dropped: &PipeReader, outbox: &mpsc::Sender<io::Result<Bytes>>) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let came = wait(&stdin, dropped).and_then(|there| match there {
            true => stdin.read(&mut chunk),
            false => Ok(0),
        });
        let sent = match came {
            Ok(0) => return,
            Ok(count) => outbox.blocking_send(Ok(Bytes::copy_from_slice(&chunk[..count]))),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                ) =>
            {
                Ok(())
            }
            Err(error) => {
                let _ = outbox.blocking_send(Err(error));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// False when nobody wants it any more.
fn wait(stdin: &File, dropped: &PipeReader) -> io::Result<bool> {
    let mut both = [
        PollFd::new(stdin, PollFlags::IN),
        PollFd::from_borrowed_fd(dropped.as_fd(), PollFlags::IN),
    ];
    poll(&mut both, None)?;
    Ok(both[1].revents().is_empty())
}
