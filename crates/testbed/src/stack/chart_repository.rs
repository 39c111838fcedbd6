//! A chart repository on this machine, as plain as a folder behind a web server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::charts::{ChartArchive, index};

/// One request may take this long.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_HEAD: usize = 16 << 10;

/// Ends when it is dropped.
pub struct ChartRepository {
    address: SocketAddr,
    shelf: Arc<Mutex<Shelf>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shelf {
    charts: Vec<ChartArchive>,
    requests: usize,
}

impl ChartRepository {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shelf: Arc<Mutex<Shelf>> = Arc::default();
        let served = shelf.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // One after the other: what a test asks for is little.
                let _ = timeout(PATIENCE, answer(socket, &served)).await;
            }
        });
        Ok(Self { address, shelf, task })
    }

    pub fn url(&self) -> String {
        format!("http://{}/charts", self.address)
    }

    /// Adds the chart, or replaces the same version of it.
    pub fn publish(&self, chart: ChartArchive) {
        let mut shelf = locked(&self.shelf);
        shelf
            .charts
            .retain(|known| known.file_name() != chart.file_name());
        shelf.charts.push(chart);
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        locked(&self.shelf).requests
    }
}

impl Drop for ChartRepository {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked(shelf: &Mutex<Shelf>) -> std::sync::MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(mut socket: TcpStream, shelf: &Mutex<Shelf>) -> Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < LONGEST_HEAD {
        if socket.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split_whitespace().nth(1).unwrap_or_default();
    let file = path.strip_prefix("/charts/").unwrap_or_default();
    let found = {
        let mut shelf = locked(shelf);
        shelf.requests += 1;
        match file {
            "index.yaml" => Some(index(&shelf.charts).into_bytes()),
            name => shelf
                .charts
                .iter()
                .find(|chart| chart.file_name() == name)
                .map(|chart| chart.bytes.clone()),
        }
    };
    let (status, body) = match found {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(&body).await?;
    socket.shutdown().await?;
    Ok(())
}
