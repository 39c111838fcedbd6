//! A bare mirror of a remote repository. What is asked for is fetched in `fetch.rs`; tags over there are moved in `push.rs`.
//!
//! In: a folder that belongs to this mirror alone, a [`Remote`], names of references. Out: the commits they show.
//! The network is the `git` program's; a call that is dropped or late is killed with everything it started, and
//! what it left half-done is swept before the next. A failed fetch leaves the old references as they were.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::process::Command;

use crate::classify::classify;
use crate::command::{Output, Run, locked_down, proxy_environment};
use crate::ssh::Ssh;
use crate::sweep::empty;
use crate::url::Address;
use crate::{GitError, Remote, Repository, Result, Secret, Transport};

/// When to give up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub fetch: Duration,
    pub push: Duration,
    /// The largest pack that one fetch may bring.
    pub max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fetch: Duration::from_secs(120),
            push: Duration::from_secs(30),
            max_bytes: 1 << 30,
        }
    }
}

/// One mirror per folder; calls at the same time are put in line.
#[derive(Debug)]
pub struct Mirror {
    pub(crate) repository: Repository,
    pub(crate) remote: Remote,
    pub(crate) address: Address,
    pub(crate) limits: Limits,
    ssh: Option<Ssh>,
    pub(crate) fetching: tokio::sync::Mutex<()>,
    /// Set while a fetch writes: still set at the next one if it was killed.
    pub(crate) unswept: AtomicBool,
}

impl Mirror {
    /// Opens the mirror in `dir`, made when missing.
    pub async fn open(dir: impl AsRef<Path>, remote: Remote) -> Result<Self> {
        Self::open_with(dir, remote, Limits::default()).await
    }

    pub async fn open_with(dir: impl AsRef<Path>, remote: Remote, limits: Limits) -> Result<Self> {
        let address = remote.check()?;
        let ssh = match &remote.transport {
            Transport::Ssh {
                private_key,
                known_hosts,
            } => Some(Ssh::prepare(private_key, known_hosts)?),
            Transport::Http { .. } | Transport::Local => None,
        };
        let dir =
            std::path::absolute(dir.as_ref()).map_err(GitError::io("finding the folder of the mirror"))?;
        let repository = Repository::init_bare(dir, "main")?;
        Ok(Self {
            repository,
            remote,
            address,
            limits,
            ssh,
            fetching: tokio::sync::Mutex::default(),
            unswept: AtomicBool::new(true),
        })
    }

    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Throws away what the mirror holds; the next fetch brings everything anew. For when reading it fails with
    /// [`GitError::Storage`], as after a power cut.
    pub async fn rebuild(&self) -> Result<()> {
        let _turn = self.fetching.lock().await;
        self.empty().await
    }

    pub(crate) async fn empty(&self) -> Result<()> {
        self.on_disk(empty)
            .await?
            .map_err(GitError::io("emptying the mirror"))
    }

    pub(crate) async fn on_disk<T: Send + 'static>(&self, work: fn(&Path) -> T) -> Result<T> {
        let path = self.repository.path().to_owned();
        tokio::task::spawn_blocking(move || work(&path))
            .await
            .map_err(|error| GitError::Storage {
                detail: error.to_string(),
            })
    }

    /// Packs the mirror where it has grown. To be called now and then, not on the way of a change.
    pub async fn maintain(&self) -> Result<()> {
        let _turn = self.fetching.lock().await;
        self.repository.maintain().await
    }

    /// Ends the connection that later calls would share. Dropping the mirror does the same.
    pub fn close(&self) {
        if let Some(ssh) = &self.ssh {
            ssh.disconnect();
        }
    }

    pub(crate) fn run(&self, verb: &str, deadline: Duration) -> Run {
        let path = self.repository.path();
        let what = format!("{verb} from {}", self.address.host);
        let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut config = vec![
            set("protocol.version", "2"),
            set("core.bigFileThreshold", "8m"),
            set("fetch.unpackLimit", "200"),
            set("fetch.negotiationAlgorithm", "skipping"),
            set("gc.auto", "0"),
            set("safe.directory", "*"),
            // A mirror is a copy: what a power cut spoils is fetched again (see `rebuild`), and waiting for the disk
            // would be a third of a small fetch.
            set("core.fsync", "none"),
        ];
        if let Transport::Http { authorization } = &self.remote.transport {
            config.extend(http_config(&self.address.url, authorization));
        }
        let home = self.ssh.as_ref().map_or(path, Ssh::home);
        let mut command: Command = locked_down(home, &config);
        command
            .env("GIT_DIR", path)
            .env("GIT_ALLOW_PROTOCOL", self.address.protocol)
            .current_dir(path);
        match (&self.remote.transport, &self.ssh) {
            (Transport::Ssh { .. }, Some(ssh)) => {
                command
                    .env("GIT_SSH_COMMAND", ssh.command())
                    .env("GIT_SSH_VARIANT", "ssh");
            }
            (Transport::Http { .. }, _) => {
                command.envs(proxy_environment());
                if let Some(file) = &self.remote.ca_file {
                    // By the variable, which goes before the setting of the same meaning.
                    command.env("GIT_SSL_CAINFO", file);
                }
            }
            _ => {}
        }
        Run {
            command,
            what,
            deadline,
            growth: None,
        }
    }

    pub(crate) async fn output(&self, run: Run) -> Result<Output> {
        let outcome = run.output().await;
        if let Err(GitError::Timeout { .. }) = outcome {
            // The shared connection may be what hangs: the next call shall have a new one.
            self.close();
        }
        outcome
    }

    pub(crate) fn failure(&self, verb: &str, stderr: &str) -> GitError {
        let what = format!("{verb} from {}", self.address.host);
        classify(&what, &self.address.host, &self.address.url, &self.clean(stderr))
    }

    pub(crate) fn clean(&self, text: &str) -> String {
        match &self.remote.transport {
            Transport::Http { authorization } => authorization.strike_from(text),
            Transport::Ssh { .. } | Transport::Local => text.to_owned(),
        }
    }
}

/// The header goes to this address alone and follows no redirect (CVE-2024-32884 and its like).
fn http_config(url: &str, authorization: &Secret) -> Vec<(String, String)> {
    vec![
        (
            format!("http.{url}.extraHeader"),
            format!("Authorization: {}", authorization.reveal()),
        ),
        ("http.followRedirects".into(), "false".into()),
        ("http.lowSpeedLimit".into(), "100".into()),
        ("http.lowSpeedTime".into(), "30".into()),
        ("credential.helper".into(), String::new()),
    ]
}

/// Promised to callers that hold these in tasks.
const _: () = {
    const fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Repository>();
    is_shared::<Mirror>();
};
