//! What stands between an agent and its platform in real networks: a proxy that wants a password. On loopback; it ends when dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use c7n_testbed::stack::each_connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// An HTTP proxy that opens ways by CONNECT to who knows the password.
pub struct ConnectProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug)]
pub struct Asked {
    /// HOST:PORT, or the first line of what was no CONNECT.
    pub target: String,
    pub let_through: bool,
}

impl ConnectProxy {
    pub async fn start(user: &str, password: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let wanted = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let book = asked.clone();
        let task = tokio::spawn(each_connection(listener, move |stream| {
            tunnel(stream, wanted.clone(), book.clone())
        }));
        Ok(Self { address, asked, task })
    }

    /// Its address with these credentials, which are written as a URL wants them.
    pub fn url(&self, user: &str, password: &str) -> String {
        format!("http://{user}:{password}@{}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tunnel(mut stream: TcpStream, wanted: String, book: Arc<Mutex<Vec<Asked>>>) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        anyhow::ensure!(head.len() < 8 << 10, "an endless head");
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    let mut lines = head.lines();
    let first = lines.next().context("a request has a first line")?;
    let target = first
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split(' ').next());
    let known = lines
        .filter_map(|line| line.split_once(": "))
        .any(|(name, value)| name.eq_ignore_ascii_case("proxy-authorization") && value == wanted);
    let asked = Asked {
        target: target.unwrap_or(first).to_owned(),
        let_through: known && target.is_some(),
    };
    book.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(asked.clone());
    if !asked.let_through {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"test\"\r\n\
                       Content-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(refusal.as_bytes()).await?;
        return Ok(());
    }
    // Whatever its name, all that these tests reach is on this machine.
    let (_, port) = asked.target.rsplit_once(':').context("HOST:PORT")?;
    let mut peer = TcpStream::connect((Ipv4Addr::LOCALHOST, port.parse()?)).await?;
    stream
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await?;
    copy_bidirectional(&mut stream, &mut peer).await?;
    Ok(())
}
