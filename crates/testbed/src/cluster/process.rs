//! Processes on this machine: who they are, whether they live, and their end.
//!
//! A pid alone names nobody: the kernel gives it to the next one. A process is its pid and its start time, and only
//! that pair is ever signalled.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Set in the environment of all that a cluster starts, to the cluster's folder. Children inherit it, so that also
/// what a program started itself (a container's shim) is found when its parent is gone.
const MARK: &str = "C7N_CLUSTER_FOLDER";

/// A process that cannot be mistaken for a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    pub pid: u32,
    /// In clock ticks since boot, as `/proc/PID/stat` has it.
    pub started: u64,
}

impl ProcessId {
    pub fn current() -> Result<Self> {
        Self::of(std::process::id()).context("cannot read /proc/self/stat")
    }

    /// `None` when there is no such process, or only what is left of one that ended (a zombie).
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let stat = Stat::parse(&stat)?;
        (!stat.is_over()).then_some(Self {
            pid,
            started: stat.started,
        })
    }

    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Ends it at once. Nothing happens if it is gone already.
    pub fn kill(self) {
        if self.is_alive() {
            send_kill(self.pid);
        }
    }
}

// The standard library can only kill its own children; a cluster is often stopped by another process than its starter.
#[allow(unsafe_code)]
fn send_kill(pid: u32) {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return;
    };
    // SAFETY: kill() takes two integers and touches no memory of ours.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// What `/proc/PID/stat` says: fields 3, 20 and 22 of proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    threads: u32,
    started: u64,
}

impl Stat {
    /// The name before the fields may hold blanks and brackets.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            threads: fields.get(17)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// A zombie holds nothing any more, unless other threads of it still have ports and files open.
    fn is_over(&self) -> bool {
        matches!(self.state, 'Z' | 'X') && self.threads <= 1
    }
}

/// A program of a cluster, as recorded in the cluster's state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    pub name: String,
    pub process: ProcessId,
    pub log: PathBuf,
}

impl Running {
    pub fn is_alive(&self) -> bool {
        self.process.is_alive()
    }

    /// What a person needs to see why it died.
    pub fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        format!(
            "{} ended; its log is {} and ends with:\n{}",
            self.name,
            self.log.display(),
            last_lines(&text, 15)
        )
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(count);
    lines[from..]
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Starts programs for one cluster: marked, in a process group of their own (a Ctrl-C meant for the starter does not
/// reach them), with a log each.
#[derive(Clone, Debug)]
pub struct Launcher {
    folder: PathBuf,
}

impl Launcher {
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_path_buf(),
        }
    }

    pub fn launch<A: AsRef<OsStr>>(
        &self,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<(Running, Child)> {
        let name = program
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let log = self.folder.join("logs").join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = Command::new(program)
            .args(arguments)
            .env(MARK, &self.folder)
            // A user's proxy would be asked for loopback addresses.
            .env_remove("HTTP_PROXY")
            .env_remove("HTTPS_PROXY")
            .env_remove("http_proxy")
            .env_remove("https_proxy")
            .current_dir(&self.folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let process = ProcessId::of(child.id())
            .with_context(|| format!("{name} ended at once; its log is {}", log.display()))?;
        Ok((Running { name, process, log }, child))
    }
}

/// Every living process that carries the mark of the cluster in `folder`.
pub fn marked(folder: &Path) -> HashSet<ProcessId> {
    let mark = [MARK.as_bytes(), b"=", folder.as_os_str().as_encoded_bytes()].concat();
    let Ok(entries) = fs::read_dir("/proc") else {
        return HashSet::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id())
        .filter_map(ProcessId::of)
        .filter(|process| {
            // Read after the identity: if the pid was recycled between the two, kill() notices.
            fs::read(format!("/proc/{}/environ", process.pid)).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == mark)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 987654 1000 10";
        assert_eq!(
            Stat::parse(stat),
            Some(Stat {
                state: 'S',
                threads: 3,
                started: 987_654
            })
        );
    }

    #[test]
    fn a_zombie_is_over_when_its_last_thread_is() {
        let zombie = |threads| Stat {
            state: 'Z',
            threads,
            started: 1,
        };
        assert!(!zombie(2).is_over());
        assert!(zombie(1).is_over());
    }

    #[test]
    fn a_recycled_pid_is_another_process() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = ProcessId::of(child.id()).unwrap();
        let earlier = ProcessId {
            started: process.started - 1,
            ..process
        };

        earlier.kill();
        assert!(child.try_wait().unwrap().is_none());
        assert!(!earlier.is_alive());

        process.kill();
        assert!(!child.wait().unwrap().success());
        assert!(!process.is_alive());
    }

    #[test]
    fn what_a_launched_program_starts_is_found_by_its_mark() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();

        // No script of its own: one that was just written cannot be run while another test forks.
        let shell = Path::new("/bin/sh");
        let (running, mut child) = Launcher::new(folder.path())
            .launch(shell, ["-c", "sleep 61 & wait"])
            .unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while marked(folder.path()).len() < 2 && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }

        let found = marked(folder.path());
        found.iter().for_each(|process| process.kill());
        child.wait().unwrap();
        assert!(found.contains(&running.process));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_log_is_quoted_from_its_end() {
        let text = (1..=20).map(|line| format!("line {line}\n")).collect::<String>();
        assert_eq!(last_lines(&text, 2), "    line 19\n    line 20");
        assert_eq!(last_lines("", 2), "");
    }
}
