//! `c7n-agent probe`: asks the agent in the same pod by its socket, for nodes on which a port cannot be shared.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(4);

/// Ask the agent that runs here how it is
#[derive(Debug, Parser)]
#[command(name = "c7n-agent probe")]
pub struct Probe {
    /// Where it listens (`--health-listen unix:SOCKET`)
    #[arg(long, value_name = "SOCKET")]
    pub socket: PathBuf,
    #[arg(value_parser = ["healthz", "readyz"])]
    pub what: String,
}

/// The agent's words; an error if they are not good.
pub async fn ask(probe: Probe) -> anyhow::Result<String> {
    let answer = async {
        let mut stream = UnixStream::connect(&probe.socket)
            .await
            .with_context(|| format!("nobody listens at {}", probe.socket.display()))?;
        let request = format!("GET /{} HTTP/1.1\r\nhost: agent\r\n\r\n", probe.what);
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.take(64 << 10).read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = timeout(DEADLINE, answer)
        .await
        .context("the agent did not answer in time")??;
    let (head, words) = answer
        .split_once("\r\n\r\n")
        .context("the agent's answer makes no sense")?;
    let words = words.trim().to_owned();
    if head.split(' ').nth(1) != Some("200") {
        bail!(words);
    }
    Ok(words)
}
