//! Standard output and standard error, written by a thread of its own: a reader that stalls holds up nothing but itself.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::{Context, Result};
use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc;

/// With frames of 64 KiB this is all that waits here.
const WAITING: usize = 4;

pub enum Out {
    Stdout(Bytes),
    Stderr(Bytes),
}

/// Ends its thread when dropped; one that hangs in a write ends with the program.
pub struct Writer {
    to_write: mpsc::Sender<Out>,
    written: mpsc::Receiver<io::Result<()>>,
    waiting: usize,
}

impl Writer {
    pub fn start() -> Result<Self> {
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let (to_write, inbox) = mpsc::channel(WAITING);
        let (outbox, written) = mpsc::channel(2 * WAITING);
        std::thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || write_all(stdout, stderr, inbox, &outbox))
            .context("starting a thread for the output")?;
        Ok(Self {
            to_write,
            written,
            waiting: 0,
        })
    }

    pub fn has_room(&self) -> bool {
        self.waiting < WAITING
    }

    pub fn is_idle(&self) -> bool {
        self.waiting == 0
    }

    /// Only when there is room.
    pub fn write(&mut self, out: Out) -> io::Result<()> {
        self.to_write
            .try_send(out)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
            .inspect(|()| self.waiting += 1)
    }

    /// The oldest that waits is written. Never returns when nothing waits; may be dropped and called again.
    pub async fn written(&mut self) -> io::Result<()> {
        if self.is_idle() {
            std::future::pending::<()>().await;
        }
        let outcome = self.written.recv().await;
        self.waiting -= 1;
        outcome.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))
    }

    pub async fn flush(&mut self) -> io::Result<()> {
        while !self.is_idle() {
            self.written().await?;
        }
        Ok(())
    }
}

/// Nobody reads any more, as with `c7n logs | head`: no error of ours.
pub fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

fn write_all(
    mut stdout: File,
    mut stderr: File,
    mut inbox: mpsc::Receiver<Out>,
    outbox: &mpsc::Sender<io::Result<()>>,
) {
    while let Some(out) = inbox.blocking_recv() {
        let outcome = match out {
            Out::Stdout(bytes) => write_patiently(&mut stdout, &bytes),
            Out::Stderr(bytes) => write_patiently(&mut stderr, &bytes),
        };
        if outbox.blocking_send(outcome).is_err() {
            return;
        }
    }
}

/// A terminal may have been made non-blocking by another program that shares it.
fn write_patiently(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(&*file, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
