//! Starts everything, and stops it.

use std::fs::{File, TryLockError};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use c7n_git_host::{Host, HostError, SshHost, http_router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::first_run::{self, FirstRun, FirstRunError};
use crate::access::git::{GitAccess, Pushed};
use crate::access::passwords::Passwords;
use crate::agent_chart;
use crate::api::{self, Api, Catalogue};
use crate::catalogue::{self, Archives, ChartFacts, Charts, Seal, SealError};
use crate::config::{Config, ssh_host};
use crate::deploy::Deployer;
use crate::fleet::Fleet;
use crate::instances::Teller;
use crate::intake::Intake;
use crate::repositories::Repositories;
use crate::store::{Addresses, Store, StoreError};
use crate::streams::{Limits, Recordings, Streams};
use crate::threshold::{self, Arrival, Threshold};

/// How long what is under way may take to end.
const STOP: Duration = Duration::from_secs(10);
const TRIM_EVENTS: Duration = Duration::from_secs(600);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the data folder {path} cannot be used: {source}; choose another with --data-dir")]
    DataFolder { path: PathBuf, source: io::Error },
    #[error(
        "another c7n-server uses the data folder {0}; stop it first, or choose another folder with --data-dir"
    )]
    InUse(PathBuf),
    #[error(
        "cannot listen on {address}: {source}; choose another address with --listen, or stop what uses it"
    )]
    Listen { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    GitHost(#[from] HostError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the cache of charts cannot be used: {0}")]
    Charts(#[from] c7n_charts::repository::RepositoryError),
    #[error(transparent)]
    FirstRun(#[from] FirstRunError),
    #[error("the agent's chart cannot be packed ({0}); this is a defect of the build, please report it")]
    AgentChart(#[from] c7n_pack::chart::ChartError),
}

/// A platform that runs until [`Platform::stop`].
pub struct Platform {
    http_addr: SocketAddr,
    ssh_addr: SocketAddr,
    store: Store,
    git_host: Arc<Host>,
    streams: Streams,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    _lock: File,
}

impl Platform {
    /// When this returns the ports are open. The second is there on the very first start of a data folder and never again.
    pub async fn start(config: &Config) -> Result<(Self, Option<FirstRun>), StartError> {
        let lock = lock(&config.data_dir)?;
        let data = config.data_dir.as_path();
        let store = Store::open(&database(data)).await?;
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let repositories = Repositories::new(data);

        let instances = Teller::default();
        tasks.spawn(instances.clone().run(store.clone(), shutdown.clone()));
        let fleet = Fleet::start(
            store.clone(),
            repositories.clone(),
            instances,
            credential_age(config),
            tasks.clone(),
            shutdown.clone(),
        )
        .await?;
        let streams = Streams::start(
            store.clone(),
            fleet.clone(),
            stream_limits(config),
            config.stream_times.clone(),
            recordings(config),
            tasks.clone(),
            shutdown.clone(),
        )
        .await?;
        let intake = Intake::start(
            store.clone(),
            repositories.clone(),
            fleet.clone(),
            tasks.clone(),
            shutdown.clone(),
        );
        let wake = Arc::new(fleet.clone());
        let pushed = Arc::new(move |environment: &str| intake.notify(environment));
        let pushed: Pushed = pushed;
        let catalogue = catalogue(&store, data, &repositories, &pushed)?;
        let authority = Arc::new(GitAccess::new(store.clone(), repositories, pushed));
        let git_host = Host::new(data.join("git-host"), authority)?;

        let listen = |source| StartError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let http_addr = listener.local_addr().map_err(listen)?;
        let ssh_key = data.join("ssh_host_ed25519_key");
        let ssh = SshHost::bind(
            config.ssh_listen,
            ssh_key,
            Arc::clone(&git_host),
            shutdown.clone(),
        )
        .await?;
        let ssh_addr = ssh.local_addr();
        store.announce(addresses(config, http_addr, &ssh));

        let charts = Charts::new(store.clone(), catalogue.archives.clone());
        let api = Api::new(
            store.clone(),
            config,
            wake,
            catalogue,
            streams.clone(),
            tasks.clone(),
            shutdown.clone(),
        )
        .await?;
        let router = api::router(api)
            .merge(fleet.router())
            .merge(streams.router())
            .merge(catalogue::router(charts))
            .merge(agent_chart::router()?)
            .merge(Router::new().nest("/git", http_router(Arc::clone(&git_host))));
        let keep = |first_run: &FirstRun| match &config.first_run_file {
            Some(path) => write_first_run(path, first_run, &store.addresses()),
            None => Ok(()),
        };
        let first_run = first_run::ensure_administrator(&store, &Passwords::default(), keep).await?;

        tasks.spawn(ssh.run());
        let listener = Threshold::new(listener, config.stream_times.handshake);
        tasks.spawn(serve(listener, router, shutdown.clone()));
        tasks.spawn(keep_events_few(store.clone(), shutdown.clone()));
        let platform = Self {
            http_addr,
            ssh_addr,
            store,
            git_host,
            streams,
            tasks,
            shutdown,
            _lock: lock,
        };
        Ok((platform, first_run))
    }

    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    pub fn ssh_addr(&self) -> SocketAddr {
        self.ssh_addr
    }

    pub fn addresses(&self) -> Addresses {
        self.store.addresses()
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How many logs, processes and ports of pods are open.
    pub fn open_streams(&self) -> usize {
        self.streams.count()
    }

    /// Takes no new work, lets what is under way end, and closes the database. Nothing that was answered is lost either way.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        let all = async {
            self.git_host.close().await;
            self.tasks.wait().await;
        };
        if tokio::time::timeout(STOP, all).await.is_err() {
            tracing::warn!("some work did not end in time and is cut off");
        }
        if tokio::time::timeout(STOP, self.store.close()).await.is_err() {
            tracing::warn!("the database did not close in time; it recovers at the next start");
        }
    }
}

fn catalogue(
    store: &Store,
    data: &Path,
    repositories: &Repositories,
    pushed: &Pushed,
) -> Result<Catalogue, StartError> {
    let seal = Arc::new(Seal::open(data)?);
    let facts = ChartFacts::new(store.clone(), data, Arc::clone(&seal))?;
    Ok(Catalogue {
        archives: Archives::new(data),
        seal,
        deployer: Deployer::new(
            store.clone(),
            repositories.clone(),
            facts.clone(),
            Arc::clone(pushed),
        ),
        facts,
    })
}

/// For scripts. The ports are open when it is written, and answer as soon as the administrator exists.
fn write_first_run(path: &Path, first_run: &FirstRun, addresses: &Addresses) -> Result<(), FirstRunError> {
    let content = serde_json::json!({
        "username": first_run.username,
        "password": first_run.password,
        "token": first_run.token,
        "url": addresses.http,
        "ssh_url": addresses.ssh,
    });
    write_private(path, &format!("{content:#}\n")).map_err(|source| FirstRunError::File {
        path: path.to_owned(),
        source,
    })
}

/// A new password for a user, while the server is stopped.
pub async fn reset_password(config: &Config, username: &str) -> Result<String, StartError> {
    let _lock = lock(&config.data_dir)?;
    let store = Store::open(&database(&config.data_dir)).await?;
    let password = first_run::reset_password(&store, &Passwords::default(), username).await?;
    store.close().await;
    Ok(password)
}

fn database(data: &Path) -> PathBuf {
    data.join("c7n.db")
}

/// Whole or not at all, and for its owner's eyes only.
fn write_private(path: &Path, content: &str) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    match std::fs::remove_file(&partial) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&partial, path)
}

/// Makes the folder and holds it: two servers on one database would tell their agents different things.
fn lock(folder: &Path) -> Result<File, StartError> {
    use std::os::unix::fs::DirBuilderExt;
    let fail = |source| StartError::DataFolder {
        path: folder.to_owned(),
        source,
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(fail)?;
    std::fs::create_dir_all(folder.join("repositories")).map_err(fail)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))
        .map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(fail(source)),
    }
}

/// How old a credential of an agent may become before it is replaced.
fn credential_age(config: &Config) -> Duration {
    Duration::from_secs(u64::from(config.credential_days) * 24 * 60 * 60)
}

fn recordings(config: &Config) -> Recordings {
    let kept = Duration::from_secs(u64::from(config.recording_days) * 24 * 60 * 60);
    Recordings::new(&config.data_dir, kept, u64::from(config.recording_mib) << 20)
}

fn stream_limits(config: &Config) -> Limits {
    let number = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
    Limits {
        per_user: number(config.streams_per_user),
        per_cluster: number(config.streams_per_cluster),
    }
}

fn addresses(config: &Config, http: SocketAddr, ssh: &SshHost) -> Addresses {
    let http = config
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://{}", reachable(http)));
    let ssh_url = config
        .public_ssh_url
        .clone()
        .unwrap_or_else(|| format!("ssh://git@{}", reachable(ssh.local_addr())));
    let (host, port) = ssh_host(&ssh_url);
    Addresses {
        http,
        known_hosts: ssh.known_hosts_line(&host, port),
        ssh: ssh_url,
    }
}

/// "All addresses" is none that one could dial; without a public one this machine is as good a guess as any.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    address
}

async fn serve(listener: Threshold, router: Router, shutdown: CancellationToken) {
    let service = router
        .layer(from_fn(threshold::heard))
        .into_make_service_with_connect_info::<Arrival>();
    // The only error that `serve` could return is one of `accept`, and it handles those itself.
    let _ = axum::serve(listener, service)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await;
}

async fn keep_events_few(store: Store, shutdown: CancellationToken) {
    let mut clock = tokio::time::interval(TRIM_EVENTS);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = clock.tick() => {}
        }
        if let Err(error) = store.trim_events().await {
            tracing::warn!(%error, "old events were not trimmed; the next round tries again");
        }
    }
}
