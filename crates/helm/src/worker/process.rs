//! One worker process in a group of its own: lines in, lines out, never more memory than it may have.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{WorkerOptions, environment, wire};

/// A cold start on a busy machine.
const GREETING_TIME: Duration = Duration::from_secs(30);
/// An answer holds a manifest at most (16 MiB), JSON-quoted.
const MAX_ANSWER: usize = 64 << 20;
const MEMORY_PERIOD: Duration = Duration::from_millis(200);
/// What a worker may print before the rest is thrown away.
const MAX_WORDS: usize = 200;

/// A running worker. Dropping it kills it.
pub struct Worker {
    child: Child,
    /// The group's number, for as long as its leader has not been waited for: later the number may be another's.
    leader: Option<i32>,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    words: JoinHandle<()>,
    memory: u64,
    /// What the kubeconfig was when it started: it is read once.
    kubeconfig: Option<Stamp>,
    pub operations: u32,
}

/// Tells whether a file was written anew.
pub type Stamp = (SystemTime, u64);

pub fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Worker {
    /// Starts a worker and waits for its greeting.
    pub async fn start(options: &WorkerOptions) -> io::Result<Self> {
        let mut child = environment::command(options)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("a stream of the worker is missing");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let errors = child.stderr.take().ok_or_else(missing)?;
        let mut worker = Self {
            leader: child.id().and_then(|id| i32::try_from(id).ok()),
            child,
            input: Some(input),
            output: BufReader::with_capacity(64 << 10, output),
            words: tokio::spawn(listen(errors)),
            memory: options.memory,
            kubeconfig: stamp(&options.kubeconfig),
            operations: 0,
        };
        let line = timeout(GREETING_TIME, worker.line())
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it does not greet"))??;
        wire::check_greeting(&line).map_err(io::Error::other)?;
        Ok(worker)
    }

    /// Whether it still lives and knows the way to the cluster as it is now.
    pub fn is_fit(&mut self, kubeconfig: Option<Stamp>) -> bool {
        matches!(self.child.try_wait(), Ok(None)) && self.kubeconfig == kubeconfig
    }

    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends one request.
    pub async fn send(&mut self, line: &[u8]) -> io::Result<()> {
        let input = self
            .input
            .as_mut()
            .ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
        input.write_all(line).await?;
        input.write_all(b"\n").await?;
        input.flush().await
    }

    /// The next line it says; [`io::ErrorKind::UnexpectedEof`] when it has ended.
    pub async fn line(&mut self) -> io::Result<Vec<u8>> {
        read_line(&mut self.output, MAX_ANSWER).await
    }

    /// Returns when the process uses more memory than it may. It watches itself too, and this is for when it cannot.
    pub async fn outgrown(id: Option<u32>, limit: u64) {
        loop {
            tokio::time::sleep(MEMORY_PERIOD).await;
            if id.and_then(resident).is_some_and(|used| used > limit) {
                return;
            }
        }
    }

    pub fn memory_limit(&self) -> u64 {
        self.memory
    }

    /// Bytes of memory in use now.
    pub fn resident(&self) -> Option<u64> {
        self.id().and_then(resident)
    }

    /// Lets it end by itself, and kills it if it does not.
    pub async fn stop(&mut self, grace: Duration) {
        drop(self.input.take());
        if let Some(leader) = self.leader {
            signal_group(leader, libc::SIGTERM);
            let _ = timeout(grace, self.child.wait()).await;
            signal_group(leader, libc::SIGKILL);
        }
        let _ = self.wait().await;
    }

    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.leader = None;
        Ok(status)
    }

    fn kill(&mut self) {
        if let Some(leader) = self.leader {
            signal_group(leader, libc::SIGKILL);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
        self.words.abort();
    }
}

async fn read_line<R: AsyncRead + Unpin>(reader: &mut BufReader<R>, most: usize) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let part = reader.fill_buf().await?;
        if part.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (taken, whole) = match part.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (part.len(), false),
        };
        line.extend_from_slice(&part[..taken]);
        reader.consume(taken);
        if line.len() > most {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "an answer is too long",
            ));
        }
        if whole {
            return Ok(line);
        }
    }
}

/// What a worker prints on standard error. It prints fixed words alone; anything else is Go's own last words, whose
/// contents nobody vouches for.
async fn listen<R: AsyncRead + Unpin>(errors: R) {
    let mut reader = BufReader::new(errors);
    let mut count = 0_usize;
    while let Ok(line) = read_line(&mut reader, 64 << 10).await {
        count += 1;
        if count > MAX_WORDS {
            continue;
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        if line.starts_with("helm: ") || line.starts_with("the ") {
            tracing::warn!(words = line, "the Helm worker says");
        } else if count == 1 {
            tracing::warn!("the Helm worker died with a fault of its own");
        }
    }
}

/// Resident memory of a process in bytes.
fn resident(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[allow(
    unsafe_code,
    reason = "std and tokio can signal one process, not a group; the call takes two integers"
)]
fn signal_group(leader: i32, signal: i32) {
    // SAFETY: no memory is involved; a group that is gone gives ESRCH, which is what we want.
    unsafe {
        libc::kill(-leader, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_read_whole_and_up_to_a_length() {
        let mut reader = BufReader::with_capacity(4, &b"first line\nsecond\n"[..]);
        assert_eq!(read_line(&mut reader, 100).await.unwrap(), b"first line\n");
        assert_eq!(read_line(&mut reader, 100).await.unwrap(), b"second\n");
        let end = read_line(&mut reader, 100).await.unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);

        let mut long = BufReader::with_capacity(4, &b"a line that is too long\n"[..]);
        let refused = read_line(&mut long, 10).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident(std::process::id()).is_some_and(|used| used > 1 << 20));
    }
}
