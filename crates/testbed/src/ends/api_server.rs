//! An API server with one pod, of whose connections a test knows everything: an old one, or one that does not let a process be run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::stack::each_connection;

/// What Kubernetes before 1.30 speaks.
pub const V4: &str = "v4.channel.k8s.io";
/// The name of its only pod, in every namespace.
pub const POD: &str = "web";
/// What is in the log of the pod, which goes on without another line.
pub const LOG: &str = "here\n";

mod channel {
    pub const STDIN: u8 = 0;
    pub const STDOUT: u8 = 1;
    pub const STDERR: u8 = 2;
    pub const STATUS: u8 = 3;
}

/// How it answers who wants to run a process.
#[derive(Debug, Clone)]
pub enum Exec {
    /// It speaks this protocol, if the client knows it.
    Speaks(&'static str),
    /// It stays with HTTP.
    Answers { status: &'static str, body: String },
    /// It changes to a protocol that nobody asked for.
    Switches(&'static str),
}

/// One connection, from its first request to its end.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// First lines.
    pub requests: Vec<String>,
    /// The protocols that were offered for a WebSocket.
    pub offered: String,
    /// Messages of the WebSocket that came.
    pub said: Vec<Vec<u8>>,
    pub closed: bool,
}

impl Connection {
    pub fn is_of_exec(&self) -> bool {
        self.requests.iter().any(|it| it.contains("/exec?"))
    }
}

/// On loopback; it ends when dropped.
pub struct ApiServer {
    pub url: String,
    known: Arc<Mutex<Vec<Connection>>>,
    exec: Arc<Mutex<Exec>>,
    unknown: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl ApiServer {
    pub async fn start(exec: Exec) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let known = Arc::<Mutex<Vec<Connection>>>::default();
        let exec = Arc::new(Mutex::new(exec));
        let unknown = Arc::<AtomicUsize>::default();
        let (book, how, forgotten) = (known.clone(), exec.clone(), unknown.clone());
        let task = tokio::spawn(each_connection(listener, move |stream| {
            let number = {
                let mut known = locked(&book);
                known.push(Connection::default());
                known.len() - 1
            };
            let connection = Served {
                stream,
                number,
                known: book.clone(),
                exec: how.clone(),
                unknown: forgotten.clone(),
            };
            connection.serve()
        }));
        Ok(Self {
            url,
            known,
            exec,
            unknown,
            task,
        })
    }

    pub fn answers(&self, exec: Exec) {
        *locked(&self.exec) = exec;
    }

    /// So often from now on the kubelet says that it has no such pod, as one does that has just started.
    pub fn forgets_its_pod(&self, times: usize) {
        self.unknown.store(times, Ordering::SeqCst);
    }

    pub fn connections(&self) -> Vec<Connection> {
        locked(&self.known).clone()
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        locked(&self.known).iter().filter(|it| !it.closed).count()
    }

    /// A file that leads here.
    pub fn kubeconfig(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "played",
            "clusters": [{ "name": "played", "cluster": { "server": self.url } }],
            "users": [{ "name": "agent", "user": {} }],
            "contexts": [{ "name": "played", "context": { "cluster": "played", "user": "agent" } }],
        })
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Served {
    stream: TcpStream,
    number: usize,
    known: Arc<Mutex<Vec<Connection>>>,
    exec: Arc<Mutex<Exec>>,
    unknown: Arc<AtomicUsize>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.note(|it| it.closed = true);
    }
}

impl Served {
    fn note(&self, what: impl FnOnce(&mut Connection)) {
        if let Some(connection) = locked(&self.known).get_mut(self.number) {
            what(connection);
        }
    }

    fn is_forgotten(&self) -> bool {
        let once_less = |times: usize| times.checked_sub(1);
        self.unknown
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, once_less)
            .is_ok()
    }

    async fn serve(mut self) -> Result<()> {
        self.stream.set_nodelay(true)?;
        while let Some(head) = self.head().await? {
            let first = head.lines().next().context("a first line")?.to_owned();
            self.note(|it| it.requests.push(first.clone()));
            let target = first.split(' ').nth(1).context("a target")?;
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            if path.ends_with("/exec") {
                let how = locked(&self.exec).clone();
                match how {
                    Exec::Speaks(protocol) => return self.run(&head, protocol, query).await,
                    Exec::Switches(protocol) => {
                        self.switch(&head, protocol).await?;
                        return self.rest().await;
                    }
                    Exec::Answers { status, body } => self.answer(status, &body).await?,
                }
            } else if path.ends_with("/log") && self.is_forgotten() {
                let words = format!("pod \"{POD}\" does not exist");
                self.answer("404 Not Found", &failure(404, "NotFound", &words))
                    .await?;
            } else if path.ends_with("/log") {
                return self
                    .endless(&format!("2026-01-01T00:00:00.000000001Z {LOG}"))
                    .await;
            } else if path.ends_with("/pods") && query.contains("watch=true") {
                return self.endless("").await;
            } else if let Some(found) = object(path) {
                self.answer("200 OK", &found.to_string()).await?;
            } else {
                self.answer("404 Not Found", &failure(404, "NotFound", path))
                    .await?;
            }
        }
        Ok(())
    }

    /// Of the next request, with its body none; `None` when the client has gone.
    async fn head(&mut self) -> Result<Option<String>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            ensure!(head.len() < 16 << 10, "an endless head");
            match self.stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(String::from_utf8(head)?))
    }

    /// As HTTP/1.1 has it, the connection stays open.
    async fn answer(&mut self, status: &str, body: &str) -> Result<()> {
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Ok(self.stream.write_all(answer.as_bytes()).await?)
    }

    /// The beginning of what does not end before the client goes.
    async fn endless(&mut self, begin: &str) -> Result<()> {
        let mut answer =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                .to_owned();
        if !begin.is_empty() {
            answer.push_str(&format!("{:x}\r\n{begin}\r\n", begin.len()));
        }
        self.stream.write_all(answer.as_bytes()).await?;
        self.rest().await
    }

    async fn rest(&mut self) -> Result<()> {
        while self.stream.read(&mut [0; 1024]).await? > 0 {}
        Ok(())
    }

    async fn switch(&mut self, head: &str, protocol: &str) -> Result<()> {
        let header = |name: &str| {
            let value = head.lines().filter_map(|line| line.split_once(": "));
            let mut found = value.filter(|(it, _)| it.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.trim().to_owned())
        };
        let key = header("sec-websocket-key").context("it wants no WebSocket")?;
        let offered = header("sec-websocket-protocol").unwrap_or_default();
        self.note(|it| it.offered = offered);
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\
             Sec-WebSocket-Protocol: {protocol}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        Ok(self.stream.write_all(answer.as_bytes()).await?)
    }

    /// `talk` says something on both ways and ends with 7; everything else says what it hears, until it hears `quit`.
    async fn run(mut self, head: &str, protocol: &str, query: &str) -> Result<()> {
        self.switch(head, protocol).await?;
        let mut socket = WebSocketStream::from_raw_socket(&mut self.stream, Role::Server, None).await;
        if query.contains("command=talk") {
            socket.send(on(channel::STDOUT, b"out\n")).await?;
            socket.send(on(channel::STDERR, b"err\n")).await?;
            socket.send(on(channel::STATUS, ended(7).as_bytes())).await?;
            socket.send(Message::Close(None)).await?;
        }
        while let Some(message) = socket.next().await {
            let Message::Binary(bytes) = message? else {
                continue;
            };
            if let Some(connection) = locked(&self.known).get_mut(self.number) {
                connection.said.push(bytes.to_vec());
            }
            match bytes.split_first() {
                Some((&channel::STDIN, b"quit\n")) => {
                    socket.send(on(channel::STATUS, ended(0).as_bytes())).await?;
                    socket.send(Message::Close(None)).await?;
                }
                Some((&channel::STDIN, typed)) => socket.send(on(channel::STDOUT, typed)).await?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn on(channel: u8, bytes: &[u8]) -> Message {
    Message::Binary(Bytes::from([&[channel], bytes].concat()))
}

fn ended(code: u8) -> String {
    if code == 0 {
        return json!({ "kind": "Status", "status": "Success" }).to_string();
    }
    json!({
        "kind": "Status",
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: {code}"),
        "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
    })
    .to_string()
}

/// A `Status` in which something was refused.
pub fn failure(code: u16, reason: &str, message: &str) -> String {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    })
    .to_string()
}

fn object(path: &str) -> Option<Value> {
    if path == "/api/v1/namespaces/kube-system" {
        return Some(json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": { "name": "kube-system", "uid": "of-the-played-cluster" },
        }));
    }
    let pod = json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": { "name": POD, "uid": "u1", "resourceVersion": "1" },
        "spec": { "containers": [{ "name": "app", "image": "app:1" }] },
        "status": {
            "phase": "Running",
            "containerStatuses": [{
                "name": "app", "image": "app:1", "imageID": "", "containerID": "played://1", "ready": true, "restartCount": 0,
                "state": { "running": { "startedAt": "2026-01-01T00:00:00Z" } },
            }],
        },
    });
    if path.ends_with("/pods") {
        return Some(
            json!({ "kind": "PodList", "apiVersion": "v1", "metadata": { "resourceVersion": "1" }, "items": [pod] }),
        );
    }
    path.ends_with(&format!("/pods/{POD}")).then_some(pod)
}
