//! The one runner of the `git` program: a bare environment, a deadline, and errors that say what happened.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::classify::gist;
use crate::process::Group;
use crate::{GitError, Result};

/// A `git` command that sees no configuration but the given one, asks nobody anything and speaks plain English.
///
/// `config` goes by the environment, so that secrets in it are no arguments.
pub fn locked_down(home: &Path, config: &[(String, String)]) -> Command {
    let mut command = Command::new("git");
    command.env_clear();
    for name in ["PATH", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("HOME", home)
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_COUNT", config.len().to_string());
    for (index, (key, value)) in config.iter().enumerate() {
        command
            .env(format!("GIT_CONFIG_KEY_{index}"), key)
            .env(format!("GIT_CONFIG_VALUE_{index}"), value);
    }
    command
}

/// One run of a program.
pub(crate) struct Run {
    pub command: Command,
    /// For messages: "fetching from HOST".
    pub what: String,
    pub deadline: Duration,
    /// Stops the program when the files it is receiving outgrow a limit.
    pub growth: Option<Growth>,
}

pub(crate) struct Growth {
    pub repository: PathBuf,
    pub limit: u64,
}

pub(crate) struct Output {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// More than this of a program's words is read and thrown away.
const KEEP: usize = 64 << 10;
/// How long a stream may stay open after its program has ended (a grandchild holds it).
const LINGER: Duration = Duration::from_millis(500);
/// How long git may take to clean up behind itself when it is told to stop.
const GRACE: Duration = Duration::from_millis(300);
const GROWTH_PERIOD: Duration = Duration::from_millis(500);

impl Run {
    pub fn argument(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.command.arg(argument);
        self
    }

    /// Runs it, and takes anything but a success for a failure of the program itself.
    pub async fn succeed(self) -> Result<()> {
        let what = self.what.clone();
        let output = self.output().await?;
        if output.success {
            Ok(())
        } else {
            Err(GitError::Failed {
                what,
                detail: gist(&output.stderr),
            })
        }
    }

    /// Runs it to its end. Where the future is dropped, or the deadline passes, the whole process group dies.
    pub async fn output(mut self) -> Result<Output> {
        let mut group = Group::spawn(&mut self.command).map_err(|source| GitError::ProgramMissing {
            program: self.command.as_std().get_program().to_string_lossy().into_owned(),
            source,
        })?;
        drop(group.take_stdin());
        let (stdout, stderr) = (group.take_stdout(), group.take_stderr());
        let started = Instant::now();
        let work = async {
            let (ended, has_ended) = tokio::sync::watch::channel(());
            let wait = async {
                let status = group.wait().await;
                drop(ended);
                status
            };
            let (status, stdout, stderr) =
                tokio::join!(wait, read(stdout, has_ended.clone()), read(stderr, has_ended));
            let status = status.map_err(GitError::io(self.what.clone()))?;
            Ok(Output {
                success: status.success(),
                stdout,
                stderr,
            })
        };
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(self.deadline, work) => outcome.unwrap_or_else(|_| {
                Err(GitError::Timeout { what: self.what.clone(), after: self.deadline })
            }),
            limit = outgrown(self.growth.as_ref()) => Err(GitError::TooBig { what: format!("what came while {}", self.what), limit }),
        };
        if outcome.is_err() {
            group.stop(GRACE).await;
        }
        tracing::debug!(what = self.what, elapsed = ?started.elapsed(), ok = outcome.is_ok(), "git ended");
        outcome
    }
}

async fn read<R: AsyncRead + Unpin>(
    stream: Option<R>,
    mut ended: tokio::sync::watch::Receiver<()>,
) -> String {
    let Some(mut stream) = stream else {
        return String::new();
    };
    let mut kept = Vec::new();
    let mut buffer = vec![0u8; 8192];
    let linger = async {
        // The sender is dropped when the program has ended.
        let _ = ended.changed().await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::pin!(linger);
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => match read {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    let room = KEEP.saturating_sub(kept.len());
                    kept.extend_from_slice(&buffer[..count.min(room)]);
                }
            },
            () = &mut linger => break,
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

async fn outgrown(growth: Option<&Growth>) -> u64 {
    let Some(growth) = growth else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(GROWTH_PERIOD).await;
        let folder = growth.repository.join("objects/pack");
        let limit = growth.limit;
        let size = tokio::task::spawn_blocking(move || size_of_incoming(&folder))
            .await
            .unwrap_or(0);
        if size > limit {
            return limit;
        }
    }
}

fn size_of_incoming(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"tmp_"))
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

/// Settings of this process that decide how the web is reached.
pub(crate) fn proxy_environment() -> impl Iterator<Item = (&'static str, OsString)> {
    [
        "http_proxy",
        "https_proxy",
        "HTTPS_PROXY",
        "no_proxy",
        "NO_PROXY",
        "GIT_SSL_CAINFO",
        "GIT_SSL_CAPATH",
    ]
    .into_iter()
    .filter_map(|name| Some((name, std::env::var_os(name)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, deadline: Duration) -> Run {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Run {
            command,
            what: "a test".into(),
            deadline,
            growth: None,
        }
    }

    /// A program with a grandchild, which both would go on for long; the grandchild's id is told in a file.
    struct Family {
        folder: tempfile::TempDir,
    }

    impl Family {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
            }
        }

        fn told(&self) -> PathBuf {
            self.folder.path().join("grandchild")
        }

        fn script(&self) -> String {
            let told = self.told().display().to_string();
            format!("sleep 300 & echo $! > '{told}.new'; mv '{told}.new' '{told}'; sleep 300")
        }

        async fn is_born(&self) {
            while !self.told().exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }

        /// Waits until the grandchild runs no more.
        async fn ends(&self) {
            let id = std::fs::read_to_string(self.told()).unwrap();
            let stat = format!("/proc/{}/stat", id.trim());
            let begun = Instant::now();
            // One that nobody has buried is dead all the same.
            while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                assert!(begun.elapsed() < Duration::from_secs(60), "it lives");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    #[tokio::test]
    async fn the_whole_group_dies_at_the_deadline() {
        let family = Family::new();
        // Given a program that has a grandchild when its deadline passes,
        let mut deadline = Duration::from_millis(250);
        while !family.told().exists() {
            let outcome = run(&family.script(), deadline).output().await;
            assert!(matches!(outcome, Err(GitError::Timeout { .. })));
            // A busy machine needs longer to come so far.
            deadline *= 2;
        }
        // then the grandchild is gone too.
        family.ends().await;
    }

    #[tokio::test]
    async fn the_whole_group_dies_when_nobody_waits_any_more() {
        let family = Family::new();
        let running = run(&family.script(), Duration::from_secs(200));
        tokio::select! {
            _ = running.output() => panic!("it goes on for long"),
            () = family.is_born() => {}
        }
        family.ends().await;
    }

    #[tokio::test]
    async fn a_grandchild_that_holds_the_streams_does_not_hold_us() {
        let started = Instant::now();
        let output = run("sleep 200 & echo done", Duration::from_secs(100))
            .output()
            .await
            .unwrap();
        assert_eq!(output.stdout, "done\n");
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
