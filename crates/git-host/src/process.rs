//! Runs `git upload-pack` or `git receive-pack` between a client and a granted repository.
//!
//! In: bytes of the client. Out: bytes for the client, at the client's pace. Everything that could be abused has a
//! limit: size, time in all, time without any byte. What the program says on its error stream is logged.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use c7n_git::process::Group;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_util::sync::CancellationToken;

use crate::hooks::{ROLE_VARIABLE, role_name};
use crate::request::Service;
use crate::{Actor, Grant, Host};

/// How the program is to talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// A dialogue, as over SSH.
    Dialogue,
    /// HTTP: the list of references,
    Advertisement,
    /// and one request with its answer.
    OneAnswer,
}

/// One piece of work for a client.
pub(crate) struct Work {
    pub service: Service,
    pub manner: Manner,
    pub grant: Grant,
    pub actor: Actor,
    pub protocol: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The program's exit status.
    Ended(i32),
    /// The client went away, or a limit was reached.
    CutShort(&'static str),
}

/// How long git may take to remove its temporary files when it is stopped.
const GRACE: Duration = Duration::from_secs(2);
const BUFFER: usize = 32 << 10;
/// A flush packet, `0000`.
const EMPTY_REQUEST: u64 = 4;

impl Host {
    /// Does the work. `input` ends where the client's stream ends; `output` is flushed but not shut.
    pub(crate) async fn serve(
        &self,
        work: &Work,
        input: impl AsyncRead + Unpin + Send,
        output: impl AsyncWrite + Unpin + Send,
        cut: &CancellationToken,
    ) -> io::Result<Outcome> {
        let started = Instant::now();
        let moved = Moved::default();
        let outcome = self.run(work, input, output, cut, &moved).await;
        tracing::info!(
            service = work.service.name(),
            manner = ?work.manner,
            repository = work.grant.repository,
            actor = work.actor.name,
            elapsed_ms = started.elapsed().as_millis() as u64,
            outcome = ?outcome,
            "git service ended"
        );
        // Also where it was cut short: the references may have moved before the client went away. Before a large push
        // over HTTP, git sends an empty one to learn whether it is welcome.
        let may_have_pushed = work.service == Service::ReceivePack
            && moved.fed() > EMPTY_REQUEST
            && matches!(outcome, Ok(Outcome::Ended(0) | Outcome::CutShort(_)));
        if may_have_pushed {
            self.authority.pushed(&work.grant, &work.actor).await;
        }
        outcome
    }

    async fn run(
        &self,
        work: &Work,
        input: impl AsyncRead + Unpin + Send,
        mut output: impl AsyncWrite + Unpin + Send,
        cut: &CancellationToken,
        moved: &Moved,
    ) -> io::Result<Outcome> {
        let mut group = Group::spawn(&mut self.command(work))?;
        let streams = (group.take_stdin(), group.take_stdout(), group.take_stderr());
        let (Some(stdin), Some(mut stdout), Some(stderr)) = streams else {
            return Err(io::Error::other(
                "the streams of a child that was started with pipes are missing",
            ));
        };
        let limit = match work.service {
            Service::UploadPack => self.limits.fetch_request_bytes,
            // Git judges the pack itself and says so; this is for what is not in the pack.
            Service::ReceivePack => self.limits.push_bytes.saturating_add(16 << 20),
        };
        let dialogue = async {
            let feed = feed(input, stdin, limit, moved);
            let answer = async {
                let mut buffer = vec![0u8; BUFFER];
                loop {
                    let count = stdout.read(&mut buffer).await?;
                    if count == 0 {
                        return output.flush().await;
                    }
                    output.write_all(&buffer[..count]).await?;
                    output.flush().await?;
                    moved.now();
                }
            };
            tokio::pin!(feed, answer);
            // The answer's end is the end; what the client would still send is of no interest then.
            tokio::select! {
                outcome = &mut answer => outcome.map(|()| None),
                fed = &mut feed => match fed {
                    Fed::All => answer.await.map(|()| None),
                    Fed::TooMuch => Ok(Some("the request was too large")),
                },
            }
        };
        let log = log_words(stderr, work);
        let limits = self.limits;
        let outcome = tokio::select! {
            (outcome, ()) = async { tokio::join!(dialogue, log) } => match outcome {
                Ok(None) => match tokio::time::timeout(limits.stall, group.wait()).await {
                    Ok(status) => return Ok(Outcome::Ended(status?.code().unwrap_or(128))),
                    Err(_) => Outcome::CutShort("the program did not end"),
                },
                Ok(Some(reason)) => Outcome::CutShort(reason),
                Err(_) => Outcome::CutShort("the client went away"),
            },
            () = cut.cancelled() => Outcome::CutShort("the client went away"),
            () = tokio::time::sleep(limits.service) => Outcome::CutShort("it took too long"),
            () = moved.stalled(limits.stall) => Outcome::CutShort("nothing moved any more"),
        };
        group.stop(GRACE).await;
        Ok(outcome)
    }

    fn command(&self, work: &Work) -> tokio::process::Command {
        let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let config = [
            set("core.hooksPath", &self.hooks().to_string_lossy()),
            set("safe.directory", "*"),
            set("gc.auto", "0"),
            set("receive.autogc", "false"),
            set("receive.denyDeletes", "false"),
            set("receive.denyNonFastForwards", "false"),
            set("receive.advertisePushOptions", "false"),
            set("receive.maxInputSize", &self.limits.push_bytes.to_string()),
            set("receive.fsckObjects", "true"),
            set("transfer.fsckObjects", "true"),
            // Old histories have these, and they harm nobody.
            set("receive.fsck.zeroPaddedFilemode", "ignore"),
            set("receive.fsck.missingSpaceBeforeDate", "ignore"),
            set("receive.fsck.badTimezone", "ignore"),
            set("uploadpack.allowAnySHA1InWant", "true"),
            set("uploadpack.keepAlive", "5"),
            set("receive.keepAlive", "5"),
            set("core.bigFileThreshold", "8m"),
            set("pack.threads", "1"),
            set("pack.windowMemory", "64m"),
        ];
        let mut command = c7n_git::locked_down(&self.folder, &config);
        command.current_dir(&self.folder).arg(work.service.subcommand());
        match work.manner {
            Manner::Dialogue => {}
            Manner::Advertisement => {
                command.args(["--stateless-rpc", "--http-backend-info-refs"]);
            }
            Manner::OneAnswer => {
                command.arg("--stateless-rpc");
            }
        }
        command
            .arg(&work.grant.path)
            .env(ROLE_VARIABLE, role_name(work.grant.role));
        if let Some(version) = work.protocol {
            command.env("GIT_PROTOCOL", version);
        }
        command
    }
}

enum Fed {
    All,
    TooMuch,
}

/// Copies the client's bytes to the program. A program that stops listening is no error: its answer says why.
async fn feed(
    mut input: impl AsyncRead + Unpin,
    mut stdin: impl AsyncWrite + Unpin,
    limit: u64,
    moved: &Moved,
) -> Fed {
    let mut buffer = vec![0u8; BUFFER];
    loop {
        let Ok(count) = input.read(&mut buffer).await else {
            return Fed::All;
        };
        if count == 0 {
            return Fed::All;
        }
        moved.now();
        if moved.feed(count) > limit {
            return Fed::TooMuch;
        }
        if stdin.write_all(&buffer[..count]).await.is_err() {
            return Fed::All;
        }
    }
}

/// Reads to the end, so that the program is never held up by it; keeps to a few lines.
async fn log_words(stderr: impl AsyncRead + Unpin, work: &Work) {
    let mut stream = BufReader::new(stderr).take(1 << 20);
    let mut line = Vec::new();
    let mut lines = 0;
    while let Ok(1..) = stream.read_until(b'\n', &mut line).await {
        if lines < 20 {
            let text = String::from_utf8_lossy(&line);
            tracing::warn!(
                service = work.service.name(),
                repository = work.grant.repository,
                "{}",
                text.trim()
            );
        }
        lines += 1;
        line.clear();
    }
    let _ = tokio::io::copy(&mut stream.into_inner(), &mut tokio::io::sink()).await;
}

/// When a byte moved last, in either direction, and how many came from the client.
struct Moved {
    last: Mutex<Instant>,
    fed: AtomicU64,
}

impl Default for Moved {
    fn default() -> Self {
        Self {
            last: Mutex::new(Instant::now()),
            fed: AtomicU64::new(0),
        }
    }
}

impl Moved {
    fn now(&self) {
        if let Ok(mut last) = self.last.lock() {
            *last = Instant::now();
        }
    }

    fn feed(&self, count: usize) -> u64 {
        self.fed.fetch_add(count as u64, Ordering::Relaxed) + count as u64
    }

    fn fed(&self) -> u64 {
        self.fed.load(Ordering::Relaxed)
    }

    /// Returns when nothing has moved for `limit`.
    async fn stalled(&self, limit: Duration) {
        loop {
            let quiet = self.last.lock().map(|last| last.elapsed()).unwrap_or_default();
            match limit.checked_sub(quiet) {
                Some(rest) if !rest.is_zero() => tokio::time::sleep(rest).await,
                _ => return,
            }
        }
    }
}
