//! An agent without a cluster: it says what a test tells it to say.

use std::time::Duration;

use c7n_link::messages::{ByeCode, ClusterInfo, EnvironmentSpec, Hello, Node, Say, Welcome};
use c7n_link::{Config, Output, PROTOCOL_MAX, PROTOCOL_MIN, Role, SUBPROTOCOL, Session};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::server::Server;

pub type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Longer than anything takes on a busy machine, and less than the time after which the platform looks by itself.
pub const PATIENCE: Duration = Duration::from_secs(25);

/// How the platform answers at the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    pub words: String,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub code: ByeCode,
    pub reason: String,
}

pub struct FakeAgent {
    session: Session,
    socket: Socket,
    start: Instant,
    pub welcome: Welcome,
    /// Items that came and that nobody has asked for yet.
    heard: Vec<Say>,
    ended: Option<Ended>,
}

pub async fn dial(server: &Server, token: &str) -> Result<Socket, Refused> {
    let url = server.url().replace("http://", "ws://") + "/agent/";
    let mut request = url.into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    headers.insert("sec-websocket-protocol", SUBPROTOCOL.parse().unwrap());
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(Refused {
            status: answer.status().as_u16(),
            words: String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into_owned(),
        }),
        Err(other) => panic!("{other}"),
    }
}

pub fn hello(cluster_uid: &str) -> Hello {
    Hello {
        protocol_min: PROTOCOL_MIN,
        protocol_max: PROTOCOL_MAX,
        agent_version: "0.0.1".into(),
        instance_id: "instance".into(),
        cluster_uid: cluster_uid.into(),
        cluster: Some(ClusterInfo {
            kubernetes_version: "v1.35.0".into(),
            nodes: vec![Node {
                name: "node-1".into(),
                ready: true,
                kubelet_version: "v1.35.0".into(),
            }],
        }),
        ..Hello::default()
    }
}

impl FakeAgent {
    /// Dials and is taken in.
    pub async fn connect(server: &Server, token: &str) -> Self {
        let socket = dial(server, token).await.unwrap();
        Self::introduce(socket, hello("uid-east")).await.unwrap()
    }

    /// Says hello, and waits for the welcome or for words instead.
    pub async fn introduce(socket: Socket, hello: Hello) -> Result<Self, Ended> {
        let mut agent = Self {
            session: Session::new(Role::Agent, Config::default()),
            socket,
            start: Instant::now(),
            welcome: Welcome::default(),
            heard: Vec::new(),
            ended: None,
        };
        agent.session.connected(0, Some(hello));
        while !agent.session.is_open() {
            let step = timeout(PATIENCE, agent.step()).await;
            step.expect("an answer to the hello");
            if let Some(ended) = agent.ended.take() {
                return Err(ended);
            }
        }
        Ok(agent)
    }

    pub fn epoch(&self) -> u64 {
        self.session.epoch()
    }

    pub fn post(&mut self, say: Say) {
        self.session.post(say);
    }

    /// Says it, and returns when the platform has stored it.
    pub async fn say(&mut self, say: Say) {
        self.post(say);
        self.settled().await;
    }

    /// Everything that was posted is acknowledged.
    pub async fn settled(&mut self) {
        self.carry_out().await;
        while !self.session.outbox().is_empty() {
            assert!(self.ended.is_none(), "{:?}", self.ended);
            let step = timeout(PATIENCE, self.step()).await;
            step.expect("an acknowledgement");
        }
    }

    /// Hands to the socket what was posted, and waits for nothing.
    pub async fn send(&mut self) {
        self.carry_out().await;
    }

    /// The first item that fits, of those that came or will come.
    pub async fn hear<T>(&mut self, what: &str, fits: impl Fn(&Say) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.heard.iter().position(|say| fits(say).is_some()) {
                return fits(&self.heard.remove(at)).unwrap();
            }
            assert!(self.ended.is_none(), "{what}: {:?}", self.ended);
            assert!(
                Instant::now() < deadline,
                "{what} did not come, but {:?}",
                self.heard
            );
            // Given up once at most: what is cut off in the middle of a step is lost.
            let _ = timeout_at(deadline, self.step()).await;
        }
    }

    /// The specification of the environment in which `commit` is wanted.
    pub async fn wanted(&mut self, commit: &str) -> EnvironmentSpec {
        self.hear(&format!("the wish for {commit}"), |say| match say {
            Say::Environment(spec) if spec.wanted_commit == commit => Some(spec.clone()),
            _ => None,
        })
        .await
    }

    /// What comes within a moment.
    pub async fn hear_all(&mut self, moment: Duration) -> Vec<Say> {
        let deadline = Instant::now() + moment;
        while self.ended.is_none() && timeout(deadline - Instant::now(), self.step()).await.is_ok() {}
        std::mem::take(&mut self.heard)
    }

    pub async fn ended(&mut self) -> Ended {
        loop {
            if let Some(ended) = self.ended.take() {
                return ended;
            }
            timeout(PATIENCE, self.step()).await.expect("an end in time");
        }
    }

    /// Gone without a word.
    pub fn cut(self) {
        drop(self);
    }

    /// Takes one message of the socket.
    async fn step(&mut self) {
        self.carry_out().await;
        if self.ended.is_some() {
            return;
        }
        let message = self.socket.next().await;
        match message {
            Some(Ok(Message::Binary(bytes))) => {
                let now = u64::try_from(self.start.elapsed().as_millis()).unwrap();
                self.session.receive(now, &bytes).unwrap();
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => {
                self.ended.get_or_insert(Ended {
                    code: ByeCode::Unspecified,
                    reason: format!("{other:?}"),
                });
            }
        }
        self.carry_out().await;
    }

    async fn carry_out(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(bytes) => {
                    let sent = timeout(PATIENCE, self.socket.send(Message::Binary(bytes))).await;
                    if sent.expect("a platform that reads").is_err() {
                        self.ended.get_or_insert(Ended {
                            code: ByeCode::Unspecified,
                            reason: "the socket is gone".into(),
                        });
                    }
                }
                Output::Welcome(welcome) => self.welcome = welcome,
                Output::Deliver { epoch, seq, items } => {
                    self.heard.extend(items);
                    self.session.committed(epoch, seq);
                }
                Output::Close { code, reason, .. } => {
                    self.ended = Some(Ended { code, reason });
                }
                Output::Hello(_) => {}
            }
        }
    }
}
