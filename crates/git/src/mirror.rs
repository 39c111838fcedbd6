//! A bare mirror of a remote repository: fetches what is asked for. Its tags over there are moved in `push.rs`.
//!
//! In: a folder that belongs to this mirror alone, a [`Remote`], names of references. Out: the commits they show.
//! The network is the `git` program's; a call that is dropped or late is killed with everything it started, and
//! what it left half-done is swept before the next. A failed fetch leaves the old references as they were.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::process::Command;

use crate::classify::classify;
use crate::command::{Growth, Output, Run, locked_down, proxy_environment};
use crate::repository::check_reference;
use crate::ssh::Ssh;
use crate::sweep::{empty, sweep};
use crate::url::Address;
use crate::{CommitId, GitError, Remote, Repository, Result, Secret, Transport};

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

/// What a fetch saw: for every asked reference the commit it shows, or `None` where the remote has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    pub refs: BTreeMap<String, Option<CommitId>>,
}

/// One mirror per folder; calls at the same time are put in line.
#[derive(Debug)]
pub struct Mirror {
    pub(crate) repository: Repository,
    remote: Remote,
    pub(crate) address: Address,
    pub(crate) limits: Limits,
    ssh: Option<Ssh>,
    fetching: tokio::sync::Mutex<()>,
    /// Set while a fetch writes: still set at the next one if it was killed.
    unswept: AtomicBool,
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

    /// Brings `references` up to the remote's state, forced where history was rewritten, deleted where they are gone.
    ///
    /// Names that the remote does not have cost one more round; everything else of the remote is left alone.
    pub async fn fetch(&self, references: &[&str]) -> Result<Fetched> {
        references
            .iter()
            .try_for_each(|reference| check_reference(reference))?;
        let _turn = self.fetching.lock().await;
        if self.unswept.swap(true, Ordering::Relaxed) {
            self.on_disk(sweep).await?;
        }
        let mut wanted = references.to_vec();
        let mut gone = Vec::new();
        let mut rebuilt = false;
        while !wanted.is_empty() {
            let output = self.fetch_once(&wanted).await?;
            if output.success {
                break;
            }
            if is_corruption(&output.stderr) && !rebuilt {
                tracing::warn!(mirror = %self.repository.path().display(), "the mirror is damaged, fetching it anew");
                self.empty().await?;
                rebuilt = true;
                continue;
            }
            // Git names one missing reference at a time.
            let Some(at) = missing_reference(&output.stderr, &wanted) else {
                return Err(self.failure("fetching", &output.stderr));
            };
            gone.push(wanted.remove(at));
        }
        self.unswept.store(false, Ordering::Relaxed);
        self.collect(&wanted, &gone)
    }

    /// Throws away what the mirror holds; the next fetch brings everything anew. For when reading it fails with
    /// [`GitError::Storage`], as after a power cut.
    pub async fn rebuild(&self) -> Result<()> {
        let _turn = self.fetching.lock().await;
        self.empty().await
    }

    async fn empty(&self) -> Result<()> {
        self.on_disk(empty)
            .await?
            .map_err(GitError::io("emptying the mirror"))
    }

    async fn on_disk<T: Send + 'static>(&self, work: fn(&Path) -> T) -> Result<T> {
        let path = self.repository.path().to_owned();
        tokio::task::spawn_blocking(move || work(&path))
            .await
            .map_err(|error| GitError::Storage {
                detail: error.to_string(),
            })
    }

    async fn fetch_once(&self, references: &[&str]) -> Result<Output> {
        let mut run = self.run("fetching", self.limits.fetch);
        run.growth = Some(Growth {
            repository: self.repository.path().to_owned(),
            limit: self.limits.max_bytes,
        });
        for argument in [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-auto-maintenance",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-show-forced-updates",
            "--",
            &self.address.url,
        ] {
            run.argument(argument);
        }
        for reference in references {
            run.argument(format!("+{reference}:{reference}"));
        }
        self.output(run).await
    }

    fn collect(&self, present: &[&str], gone: &[&str]) -> Result<Fetched> {
        let mut refs = BTreeMap::new();
        for reference in present {
            refs.insert((*reference).to_owned(), self.repository.resolve(reference)?);
        }
        for reference in gone {
            if let Some(old) = self.repository.resolve(reference)? {
                self.repository.move_tag(reference, Some(&old), None)?;
            }
            refs.insert((*reference).to_owned(), None);
        }
        Ok(Fetched { refs })
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

fn missing_reference(stderr: &str, wanted: &[&str]) -> Option<usize> {
    let line = stderr
        .lines()
        .find_map(|line| line.split_once("couldn't find remote ref "))?
        .1
        .trim();
    wanted.iter().position(|reference| *reference == line)
}

/// Words of git about its own objects, not about the remote's.
fn is_corruption(stderr: &str) -> bool {
    let said = |words: &str| {
        stderr
            .lines()
            .any(|line| !line.starts_with("remote:") && line.contains(words))
    };
    [
        "is corrupt",
        "is empty",
        "bad object",
        "unable to read tree",
        "inflate: data stream error",
        "unable to unpack",
    ]
    .into_iter()
    .any(said)
}

/// Promised to callers that hold these in tasks.
const _: () = {
    const fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Repository>();
    is_shared::<Mirror>();
};
