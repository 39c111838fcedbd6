//! A platform server in a folder of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::process::{Seat, program};
use super::{Binaries, Cli, Process, eventually};

/// What the server tells once, at its very first start. No `Debug`: it holds a password and a token.
#[derive(Clone, Deserialize)]
pub struct FirstRun {
    pub username: String,
    pub password: String,
    pub token: String,
    pub url: String,
    pub ssh_url: String,
}

/// Where a server listens and what else it is told; it keeps them over restarts.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    pub listen: SocketAddr,
    pub ssh_listen: SocketAddr,
    /// How people and agents reach it, if not by `listen`: as behind a proxy that ends TLS.
    pub public_url: Option<String>,
    /// Further arguments, for instance `--credential-age 20s`.
    pub arguments: Vec<String>,
}

impl ServerOptions {
    /// Free loopback ports.
    pub fn new() -> Result<Self> {
        Ok(Self {
            listen: free_address()?,
            ssh_listen: free_address()?,
            public_url: None,
            arguments: Vec::new(),
        })
    }
}

pub struct Server {
    binaries: Binaries,
    folder: PathBuf,
    options: ServerOptions,
    first_run: FirstRun,
    seat: Seat,
}

impl Server {
    /// On free loopback ports.
    pub async fn start(binaries: &Binaries, folder: &Path) -> Result<Self> {
        Self::start_with(binaries, folder, ServerOptions::new()?).await
    }

    pub async fn start_with(binaries: &Binaries, folder: &Path, options: ServerOptions) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let told = folder.join("first-run.json");
        let mut process = spawn(binaries, folder, &options)?;
        let first_run: FirstRun = wait(&mut process, async || {
            let text = std::fs::read(&told).context("the server has not told its first-run file yet")?;
            Ok(serde_json::from_slice(&text)?)
        })
        .await?;
        Ok(Self {
            binaries: binaries.clone(),
            folder: folder.to_path_buf(),
            options,
            first_run,
            seat: Seat::taken_by(process),
        })
    }

    pub fn first_run(&self) -> &FirstRun {
        &self.first_run
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    pub fn pid(&self) -> Option<u32> {
        self.seat.pid()
    }

    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The command line with the administrator's token, straight to where the server listens.
    pub fn cli(&self) -> Cli {
        Cli::new(
            &self.binaries,
            &format!("http://{}", self.options.listen),
            &self.first_run.token,
            &self.folder,
        )
    }

    /// The WebSocket URL that agents dial.
    pub fn connect(&self) -> String {
        format!("ws://{}/agent/", self.options.listen)
    }

    pub fn ssh_address(&self) -> SocketAddr {
        self.options.ssh_listen
    }

    /// `kill -9`.
    pub async fn kill(&mut self) -> Result<()> {
        self.seat.kill().await
    }

    pub async fn stop(&mut self) -> Result<()> {
        self.seat.stop().await
    }

    /// After `kill` or `stop`, on the same ports and data.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill().await?;
        let mut process = spawn(&self.binaries, &self.folder, &self.options)?;
        let listen = self.options.listen;
        wait(&mut process, async || {
            Ok(tokio::net::TcpStream::connect(listen).await.map(drop)?)
        })
        .await?;
        self.seat = Seat::taken_by(process);
        Ok(())
    }
}

fn spawn(binaries: &Binaries, folder: &Path, options: &ServerOptions) -> Result<Process> {
    let mut command = program(&binaries.server);
    command
        .arg("--data-dir")
        .arg(folder.join("data"))
        .args([
            "--listen",
            &options.listen.to_string(),
            "--ssh-listen",
            &options.ssh_listen.to_string(),
        ])
        .arg("--first-run-file")
        .arg(folder.join("first-run.json"))
        .args(&options.arguments);
    if let Some(url) = &options.public_url {
        command.args(["--public-url", url]);
    }
    Process::start("c7n-server", &mut command, &folder.join("server.log"))
}

async fn wait<T>(process: &mut Process, ask: impl AsyncFn() -> Result<T>) -> Result<T> {
    let process = std::cell::RefCell::new(process);
    let ended = std::cell::RefCell::new(None);
    let answer = eventually("the server starts", Duration::from_secs(60), || async {
        if let Err(error) = process.borrow_mut().check() {
            *ended.borrow_mut() = Some(error);
            return Ok(None);
        }
        ask().await.map(Some)
    })
    .await?;
    match (answer, ended.into_inner()) {
        (Some(answer), _) => Ok(answer),
        (None, Some(error)) => Err(error),
        (None, None) => anyhow::bail!("the server did not start"),
    }
}

/// Below the range that the kernel lends to outgoing connections, and beside that of the local clusters: a port of either could
/// be taken between choice and use, and while a server is down.
const PORTS: Range<u16> = 12_000..20_000;

/// A loopback port that is free now, and that this program has not given out lately.
pub fn free_address() -> Result<SocketAddr> {
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    let spread = usize::try_from(std::process::id())?.wrapping_mul(7919);
    for _ in PORTS {
        let at = spread.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % PORTS.len();
        let port = PORTS.start + u16::try_from(at)?;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Ok(listener.local_addr()?);
        }
    }
    anyhow::bail!(
        "no free port between {} and {} on 127.0.0.1",
        PORTS.start,
        PORTS.end
    )
}
