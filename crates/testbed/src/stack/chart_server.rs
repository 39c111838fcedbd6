//! A chart repository over HTTP on loopback that can be told to misbehave, and remembers what it was asked.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use c7n_pack::chart::{Packed, index};

/// What the server does in place of a good answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Another status, with a body that must not reach anybody.
    Status(u16),
    /// To somewhere else.
    Redirect(String),
    /// Half of the body, then the connection ends.
    Truncated,
    /// A byte now and then.
    Slow,
    /// Other bytes than the index tells.
    OtherBytes,
    /// Takes the request and never answers.
    Silent,
    /// A body that never ends, of which no length is told.
    Endless,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// With its query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// What it was answered with.
    pub status: u16,
}

/// Stops when dropped.
pub struct ChartServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    faults: BTreeMap<String, Fault>,
    guards: Vec<Guard>,
    received: Vec<Received>,
}

/// Paths that need a certain `Authorization`.
struct Guard {
    prefix: String,
    authorization: String,
    challenge: String,
}

impl ChartServer {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::<Mutex<State>>::default();
        let task = tokio::spawn(serve(listener, state.clone()));
        Ok(Self { address, state, task })
    }

    /// Without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Serves charts at the root, with their index.
    pub fn put_charts(&self, charts: &[Packed]) {
        for chart in charts {
            self.put(&format!("/{}", chart.file_name()), chart.archive.clone());
        }
        self.put("/index.yaml", index(charts));
    }

    pub fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.lock().files.insert(path.to_owned(), content.into());
    }

    pub fn remove(&self, path: &str) {
        self.lock().files.remove(path);
    }

    pub fn fail(&self, path: &str, fault: Fault) {
        self.lock().faults.insert(path.to_owned(), fault);
    }

    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// Everything wants this user from now on.
    pub fn require(&self, username: &str, password: &str) {
        let pair = STANDARD.encode(format!("{username}:{password}"));
        self.protect("/", &format!("Basic {pair}"), "Basic realm=\"charts\"");
    }

    /// Paths that begin so are only served with this `Authorization`; without it the challenge is sent.
    pub fn protect(&self, prefix: &str, authorization: &str, challenge: &str) {
        self.lock().guards.push(Guard {
            prefix: prefix.to_owned(),
            authorization: authorization.to_owned(),
            challenge: challenge.to_owned(),
        });
    }

    /// Takes back every `require` and `protect`.
    pub fn protect_nothing(&self) {
        self.lock().guards.clear();
    }

    /// What has come since the last time this was asked.
    pub fn received(&self) -> Vec<Received> {
        std::mem::take(&mut self.lock().received)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ChartServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    // Dropped with the task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let state = state.clone();
        connections.spawn(async move {
            // A client that goes away is no concern of the server.
            let _ = answer(stream, &state).await;
        });
    }
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    fault: Option<Fault>,
}

async fn answer(stream: TcpStream, state: &Mutex<State>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let (path, headers) = request(&mut stream).await?;
    let answer = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = state.answer(&path, &headers);
        state.received.push(Received {
            path,
            headers,
            status: answer.status,
        });
        answer
    };
    let mut stream = stream.into_inner();
    if matches!(answer.fault, Some(Fault::Silent)) {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    let mut head = format!("HTTP/1.1 {} x\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !matches!(answer.fault, Some(Fault::Endless)) {
        head += &format!("content-length: {}\r\n", answer.body.len());
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await?;
    match answer.fault {
        Some(Fault::Truncated) => stream.write_all(&answer.body[..answer.body.len() / 2]).await?,
        Some(Fault::Slow) => {
            for byte in answer.body {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Some(Fault::Endless) => loop {
            stream.write_all(&[b'#'; 64 << 10]).await?;
        },
        _ => stream.write_all(&answer.body).await?,
    }
    stream.shutdown().await?;
    Ok(())
}

async fn request(stream: &mut BufReader<TcpStream>) -> Result<(String, BTreeMap<String, String>)> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let path = line
        .split(' ')
        .nth(1)
        .context("a request line names a path")?
        .to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            bail!("the request ends in its headers");
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            None => return Ok((path, headers)),
        }
    }
}

impl State {
    fn answer(&self, path: &str, headers: &BTreeMap<String, String>) -> Answer {
        let plain = |status, headers: Vec<(&'static str, String)>| Answer {
            status,
            headers,
            body: Vec::new(),
            fault: None,
        };
        let path = path.split('?').next().unwrap_or_default();
        let guard = self.guards.iter().find(|guard| path.starts_with(&guard.prefix));
        if let Some(guard) = guard
            && headers.get("authorization") != Some(&guard.authorization)
        {
            return plain(401, vec![("www-authenticate", guard.challenge.clone())]);
        }
        let fault = self.faults.get(path).cloned();
        match &fault {
            Some(Fault::Status(status)) => {
                return Answer {
                    body: b"the server's own words".to_vec(),
                    ..plain(*status, Vec::new())
                };
            }
            Some(Fault::Redirect(target)) => return plain(302, vec![("location", target.clone())]),
            _ => {}
        }
        let Some(body) = self.files.get(path) else {
            return plain(404, Vec::new());
        };
        let etag = etag(body);
        if headers.get("if-none-match") == Some(&etag) && fault.is_none() {
            return plain(304, vec![("etag", etag)]);
        }
        let mut body = body.clone();
        if matches!(fault, Some(Fault::OtherBytes)) {
            body.push(0);
        }
        Answer {
            status: 200,
            headers: vec![("etag", etag)],
            body,
            fault,
        }
    }
}

fn etag(body: &[u8]) -> String {
    let digits = Sha256::digest(body)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    format!("\"{digits}\"")
}
