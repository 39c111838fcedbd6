//! A program in a process group of its own, so that it and everything it started ends together.
//!
//! `git fetch` starts `ssh`, `index-pack` and more; killing the first alone would leave the rest at work.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// A running program. Dropping it kills the whole group.
#[derive(Debug)]
pub struct Group {
    child: Child,
    /// The group's number, for as long as its leader has not been waited for: later the number may be another's.
    leader: Option<i32>,
}

impl Group {
    /// Starts `command` with its three streams piped.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Self { child, leader })
    }

    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.leader = None;
        Ok(status)
    }

    /// Asks the group to end, so that git removes its locks and half-written files, and kills it after `grace`.
    pub async fn stop(&mut self, grace: Duration) {
        if let Some(leader) = self.leader {
            signal_group(leader, libc::SIGTERM);
            let _ = tokio::time::timeout(grace, self.child.wait()).await;
            // Before the number is forgotten: what ignored the request, or was started meanwhile.
            signal_group(leader, libc::SIGKILL);
            let _ = self.wait().await;
        }
    }

    /// Kills every process of the group at once. The leader is reaped by [`Group::wait`] or by the runtime.
    pub fn kill(&mut self) {
        if let Some(leader) = self.leader {
            signal_group(leader, libc::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
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
