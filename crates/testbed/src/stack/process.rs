//! A program that runs in the background, with its output in a file, and never outlives its owner.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

/// The command for one of the product's programs; `C7N_LOG` says how much it logs.
pub(super) fn program(path: &Path) -> Command {
    let log = std::env::var("C7N_LOG").unwrap_or_else(|_| "info".to_owned());
    let mut command = Command::new(path);
    command.env("C7N_LOG", log);
    command
}

/// A program that may be down for a while.
pub(super) struct Seat(Option<Process>);

impl Seat {
    pub fn taken_by(process: Process) -> Self {
        Self(Some(process))
    }

    /// `kill -9`. One that is down already is no error.
    pub async fn kill(&mut self) -> Result<()> {
        match self.0.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    pub async fn stop(&mut self) -> Result<()> {
        match self.0.take() {
            Some(process) => process.stop().await.map(drop),
            None => Ok(()),
        }
    }

    pub fn process(&mut self) -> Result<&mut Process> {
        self.0.as_mut().context("the program is not running")
    }

    pub fn pid(&self) -> Option<u32> {
        self.0.as_ref()?.pid()
    }
}

pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Appends to the log, so that a restarted program goes on in the same file. What it prints rather than logs goes beside it.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| log.display().to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(
                File::options()
                    .create(true)
                    .append(true)
                    .open(log.with_extension("out"))?,
            )
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            log: log.to_path_buf(),
            child,
        })
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// An error with the end of the log if the program has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "{} ended with {status}; the end of {}:\n{}",
                self.name,
                self.log.display(),
                self.tail()
            );
        }
        Ok(())
    }

    pub fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// `kill -9`, as a crash would be.
    pub async fn kill(mut self) -> Result<()> {
        self.child
            .kill()
            .await
            .with_context(|| format!("killing {}", self.name))
    }

    /// Asks it to end, and insists after ten seconds.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        self.signal(libc::SIGTERM);
        match tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => {
                self.child.kill().await?;
                bail!(
                    "{} did not end within 10 s of SIGTERM and was killed; see {}",
                    self.name,
                    self.log.display()
                )
            }
        }
    }

    /// `SIGSTOP` and `SIGCONT` make a program that is there and says nothing.
    pub fn signal(&self, signal: i32) {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()) {
            // SAFETY: kill(2) with the pid of a child that has not been waited for.
            #[allow(unsafe_code)]
            unsafe {
                libc::kill(pid, signal);
            }
        }
    }
}
