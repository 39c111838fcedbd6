//! A container registry (CNCF Distribution) on loopback, with one user.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Command;

use super::{Process, eventually};
use crate::programs::{self, Program};

/// `password` hashed with bcrypt, at its lowest cost.
const HTPASSWD: &str = "ada:$2a$04$vtudfCOZX6ZDXbnhMGU.UexCDcazVg0Gh/sP/pm2h8AV1DN4RpoVq\n";

/// Stops when dropped.
pub struct Registry {
    address: SocketAddr,
    log: PathBuf,
    process: Option<Process>,
}

impl Registry {
    pub const USERNAME: &str = "ada";
    pub const PASSWORD: &str = "correct-horse";

    /// Keeps everything in the folder. Speaks plain HTTP.
    pub async fn start(folder: &Path) -> Result<Self> {
        let program = programs::ensure(Program::Registry).await?;
        std::fs::create_dir_all(folder)?;
        let address = super::server::free_address()?;
        let passwords = folder.join("htpasswd");
        std::fs::write(&passwords, HTPASSWD)?;
        let config = folder.join("config.yml");
        // JSON is YAML, and needs no care with quotes.
        let text = serde_json::json!({
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": folder.join("data")}},
            "http": {"addr": address.to_string()},
            "auth": {"htpasswd": {"realm": "tests", "path": passwords}},
        });
        std::fs::write(&config, text.to_string())?;
        let log = folder.join("registry.log");
        let mut command = Command::new(program);
        command
            .arg("serve")
            .arg(&config)
            .env_clear()
            .env("OTEL_TRACES_EXPORTER", "none");
        let mut process = Process::start("registry", &mut command, &log)?;
        eventually("the registry starts", Duration::from_secs(20), || async {
            Ok(tokio::net::TcpStream::connect(address).await.map(Some)?)
        })
        .await
        .or_else(|error| process.check().and(Err(error)))
        .context("starting a registry")?;
        Ok(Self {
            address,
            log,
            process: Some(process),
        })
    }

    /// `HOST:PORT`
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    pub async fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }
}
