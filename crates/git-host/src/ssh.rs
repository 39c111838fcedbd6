//! Git over SSH: one listener, ed25519 keys only, no shell, no forwarding.
//!
//! In: connections of `git` and OpenSSH. Out: the same programs' dialogue with a granted repository. A connection
//! may be kept and used for many fetches; the key and the rights are asked for anew at each of them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::server::Config;
use russh::{MethodKind, MethodSet, SshId};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::Connection;
use crate::host::HostError;
use crate::watch::Watch;
use crate::{Host, host_key};

/// A listening host; [`SshHost::run`] serves until the shutdown.
pub struct SshHost {
    listener: TcpListener,
    address: SocketAddr,
    config: Arc<Config>,
    host: Arc<Host>,
    public_key: String,
    shutdown: CancellationToken,
}

impl SshHost {
    /// Binds `address`; the ed25519 host key in `host_key` is made when missing.
    pub async fn bind(
        address: SocketAddr,
        host_key: impl AsRef<Path>,
        host: Arc<Host>,
        shutdown: CancellationToken,
    ) -> Result<Self, HostError> {
        let key = host_key::ensure(host_key.as_ref())?;
        let public_key = host_key::public_line(&key, host_key.as_ref())?;
        let fail = |source| HostError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let config = Arc::new(config(key));
        Ok(Self {
            listener,
            address,
            config,
            host,
            public_key,
            shutdown,
        })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// `ssh-ed25519 AAAA...`: what clients pin.
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// A `known_hosts` line for the name and port under which clients reach this host.
    pub fn known_hosts_line(&self, host: &str, port: u16) -> String {
        c7n_git::known_hosts_line(host, port, &self.public_key)
    }

    /// Serves until the shutdown, then waits a moment for the connections to end.
    pub async fn run(self) {
        let connections = TaskTracker::new();
        let places = Arc::new(Semaphore::new(self.host.limits.connections));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = self.shutdown.cancelled() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Too many open files, most likely: it passes, and a loop without a pause would not help.
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!(%peer, "turned away: too many connections");
                continue;
            };
            let (config, host) = (Arc::clone(&self.config), Arc::clone(&self.host));
            let cut = self.shutdown.child_token();
            connections.spawn(async move {
                if let Err(error) = serve(config, host, stream, cut).await {
                    tracing::debug!(%peer, %error, "connection ended");
                }
                drop(place);
            });
        }
        connections.close();
        let _ = tokio::time::timeout(Duration::from_secs(5), connections.wait()).await;
    }
}

fn config(key: PrivateKey) -> Config {
    Config {
        server_id: SshId::Standard("SSH-2.0-c7n".into()),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::from_millis(300),
        // OpenSSH asks for "none" first, to learn the methods: that is no attempt of anybody.
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: 6,
        keys: vec![key],
        // Our own watch ends idle connections; these find the peers that have vanished.
        inactivity_timeout: Some(Duration::from_secs(1800)),
        keepalive_interval: Some(Duration::from_secs(30)),
        keepalive_max: 3,
        nodelay: true,
        ..Config::default()
    }
}

/// Serves one connection. The socket is shut whatever state the dialogue is in when `cut` is cancelled.
async fn serve(
    config: Arc<Config>,
    host: Arc<Host>,
    stream: TcpStream,
    cut: CancellationToken,
) -> Result<(), russh::Error> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let scissors = stream.try_clone()?;
    let stream = TcpStream::from_std(stream)?;
    let watch = Arc::new(Watch::default());
    let limits = host.limits;
    let closing = host.shutdown.clone();
    let connection = Connection::new(host, Arc::clone(&watch), cut.clone());
    let dialogue = async { russh::server::run_stream(config, stream, connection).await?.await };
    let outcome = tokio::select! {
        outcome = dialogue => outcome,
        () = cut.cancelled() => Ok(()),
        () = closing.cancelled() => Ok(()),
        () = watch.login_overdue(limits.login) => Ok(()),
        () = watch.unused(limits.idle) => Ok(()),
    };
    // The dialogue's own task sees its socket end, and the programs at work see the cut.
    cut.cancel();
    let _ = scissors.shutdown(std::net::Shutdown::Both);
    outcome
}
