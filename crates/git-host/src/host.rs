//! What both ways in share: the authority, the limits, the hooks, and the places for programs at work.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::request::Service;
use crate::{Actor, Authority, Grant, Refusal, RepositoryPath, hooks};

#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("the Git host cannot listen on {address}: {source}; choose another address or end what uses it")]
    Bind {
        address: std::net::SocketAddr,
        source: io::Error,
    },
    #[error("the host key {} cannot be used: {reason}; move the file away and a new one is made", .path.display())]
    HostKey { path: PathBuf, reason: String },
    #[error("the Git host cannot write to {}: {source}", .path.display())]
    Folder { path: PathBuf, source: io::Error },
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest pack of one push.
    pub push_bytes: u64,
    /// The largest request of a fetch: its lists of wanted and known commits.
    pub fetch_request_bytes: u64,
    /// How long one clone or push may take in all,
    pub service: Duration,
    /// and how long nothing may move meanwhile.
    pub stall: Duration,
    /// From the first byte of an SSH connection to its login.
    pub login: Duration,
    /// How long an SSH connection without work is kept.
    pub idle: Duration,
    pub connections: usize,
    pub channels_per_connection: usize,
    /// Programs at work at the same time.
    pub services: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            push_bytes: 512 << 20,
            fetch_request_bytes: 16 << 20,
            service: Duration::from_secs(900),
            stall: Duration::from_secs(120),
            login: Duration::from_secs(20),
            idle: Duration::from_secs(600),
            connections: 2048,
            channels_per_connection: 10,
            services: 64,
        }
    }
}

/// One Git host, reached over SSH and HTTP.
pub struct Host {
    pub(crate) authority: Arc<dyn Authority>,
    pub(crate) limits: Limits,
    /// `HOME` of the programs, and what holds the hooks.
    pub(crate) folder: PathBuf,
    places: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

impl Host {
    /// `folder` is the host's own: the hooks are written there.
    pub fn new(folder: impl AsRef<Path>, authority: Arc<dyn Authority>) -> Result<Arc<Self>, HostError> {
        Self::with_limits(folder, authority, Limits::default())
    }

    pub fn with_limits(
        folder: impl AsRef<Path>,
        authority: Arc<dyn Authority>,
        limits: Limits,
    ) -> Result<Arc<Self>, HostError> {
        let fail = |source| HostError::Folder {
            path: folder.as_ref().to_owned(),
            source,
        };
        let folder = std::path::absolute(folder.as_ref()).map_err(fail)?;
        let host = Self {
            authority,
            limits,
            folder,
            places: Arc::new(Semaphore::new(limits.services)),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        };
        hooks::write(&host.hooks()).map_err(fail)?;
        Ok(Arc::new(host))
    }

    /// Stops every program at work for a client and waits until they are gone.
    pub async fn close(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub(crate) fn hooks(&self) -> PathBuf {
        self.folder.join("hooks")
    }

    /// Asks the authority; the refusal is in words for the client.
    pub(crate) async fn admit(
        &self,
        actor: &Actor,
        repository: &RepositoryPath,
        service: Service,
    ) -> Result<Grant, Denied> {
        self.authority
            .access(actor, repository, service.wish())
            .await
            .map_err(|refusal| match refusal {
                Refusal::Hidden => Denied::Hidden,
                Refusal::Stated(reason) => Denied::Stated(reason),
            })
    }

    /// A place to work, waited for as long as a client can be kept waiting.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).acquire_owned();
        tokio::time::timeout(Duration::from_secs(30), place)
            .await
            .ok()?
            .ok()
    }
}

/// Why a client is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    Hidden,
    Stated(String),
}

/// The one answer for "not there" and "not for you".
pub(crate) const HIDDEN: &str =
    "repository not found, or you have no access to it; check the address and your rights in the project";
pub(crate) const BUSY: &str = "the Git host is busy; try again in a minute";

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hidden => HIDDEN,
            Self::Stated(reason) => reason,
        })
    }
}
