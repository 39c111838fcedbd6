//! A container registry (CNCF Distribution) on loopback, with one user.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::charts::{Packed, write};
use super::{Process, eventually};
use crate::programs::{self, Program};

/// `password` hashed with bcrypt, at its lowest cost.
const HTPASSWD: &str = "ada:$2a$04$vtudfCOZX6ZDXbnhMGU.UexCDcazVg0Gh/sP/pm2h8AV1DN4RpoVq\n";

/// Stops when dropped.
pub struct Registry {
    address: SocketAddr,
    folder: PathBuf,
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
        eventually("the registry starts", Duration::from_secs(60), || async {
            Ok(tokio::net::TcpStream::connect(address).await.map(Some)?)
        })
        .await
        .or_else(|error| process.check().and(Err(error)))
        .context("starting a registry")?;
        Ok(Self {
            address,
            folder: folder.to_path_buf(),
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

    /// Where `push` puts charts.
    pub fn charts_url(&self) -> String {
        format!("oci://{}/team/charts", self.address)
    }

    /// Signs in and pushes with the real `helm`.
    pub async fn push(&self, charts: &[Packed]) -> Result<()> {
        let (host, url) = (self.host(), self.charts_url());
        let login = [
            "registry",
            "login",
            &host,
            "--plain-http",
            "--username",
            Self::USERNAME,
            "--password-stdin",
        ];
        self.helm(&login, Self::PASSWORD).await?;
        for chart in charts {
            let file = write(chart, &self.folder)?;
            self.helm(&["push", &file.to_string_lossy(), &url, "--plain-http"], "")
                .await?;
        }
        Ok(())
    }

    async fn helm(&self, arguments: &[&str], input: &str) -> Result<()> {
        let home = self.folder.join("helm");
        let mut child = Command::new(programs::ensure(Program::Helm).await?)
            .args(arguments)
            .env_clear()
            .env("HOME", &home)
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().context("helm has no standard input")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        ensure!(
            output.status.success(),
            "helm {}: {}",
            arguments[0],
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    pub async fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }
}
