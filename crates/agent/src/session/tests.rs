//! The session against a platform made of a WebSocket server and the link's own state machine.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use c7n_link::messages::{
    Bye, ByeCode, EnvironmentSpec, EnvironmentStatus, Hello, NewCredential, Say, Welcome,
};
use c7n_link::{Config, Output, Role, Session};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_util::sync::CancellationToken;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// What the agent under test heard.
#[derive(Clone)]
struct Ear {
    heard: mpsc::Sender<Heard>,
    broken: Arc<Mutex<bool>>,
}

#[derive(Debug, PartialEq)]
enum Heard {
    Opened,
    Said(Box<Say>),
}

impl Inbox for Ear {
    async fn hello(&self) -> Hello {
        Hello {
            cluster_uid: "uid-1".into(),
            protocol_min: 1,
            protocol_max: 1,
            ..Hello::default()
        }
    }

    async fn opened(&self, _: &Welcome) {
        self.heard.send(Heard::Opened).await.unwrap();
    }

    async fn deliver(&self, items: Vec<Say>) -> Result<(), String> {
        if std::mem::take(&mut *self.broken.lock().unwrap()) {
            return Err("the disk is full".into());
        }
        for item in items {
            self.heard.send(Heard::Said(Box::new(item))).await.unwrap();
        }
        Ok(())
    }
}

/// A platform that takes one token and swaps it, if told so.
struct Platform {
    listener: TcpListener,
    epoch: u64,
}

/// One accepted connection.
struct Line {
    socket: WebSocketStream<tokio::net::TcpStream>,
    session: Session,
    epoch: u64,
    authorization: String,
    welcome: Welcome,
}

impl Platform {
    async fn new() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            epoch: 0,
        }
    }

    fn url(&self) -> String {
        format!("ws://{}/agent/", self.listener.local_addr().unwrap())
    }

    /// Answers the next handshake with an HTTP status.
    #[expect(
        clippy::result_large_err,
        reason = "the answer's type is the server library's"
    )]
    async fn refuse(&mut self, status: u16, retry_after: Option<&str>) {
        let (stream, _) = self.listener.accept().await.unwrap();
        let answer = |_: &Request, _: Response| {
            let mut refusal = ErrorResponse::new(Some("no".into()));
            *refusal.status_mut() = status.try_into().unwrap();
            if let Some(seconds) = retry_after {
                refusal
                    .headers_mut()
                    .insert("retry-after", seconds.parse().unwrap());
            }
            Err(refusal)
        };
        assert!(tokio_tungstenite::accept_hdr_async(stream, answer).await.is_err());
    }

    #[expect(
        clippy::result_large_err,
        reason = "the answer's type is the server library's"
    )]
    async fn accept(&mut self, welcome: Welcome) -> Line {
        let (stream, _) = timeout(PATIENCE, self.listener.accept())
            .await
            .expect("the agent dials")
            .unwrap();
        let mut authorization = String::new();
        let answer = |request: &Request, mut response: Response| {
            authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
            assert!(!request.uri().to_string().contains("token"));
            let subprotocol = request.headers()["sec-websocket-protocol"].clone();
            response
                .headers_mut()
                .insert("sec-websocket-protocol", subprotocol);
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, answer).await.unwrap();
        self.epoch += 1;
        let mut session = Session::new(Role::Platform, Config::default());
        session.connected(0, None);
        Line {
            socket,
            session,
            epoch: self.epoch,
            authorization,
            welcome,
        }
    }
}

impl Line {
    /// Talks until the agent has said something; returns what, acknowledged or not.
    async fn hear(&mut self, acknowledge: bool) -> Vec<Say> {
        timeout(PATIENCE, async {
            loop {
                while let Some(output) = self.session.poll() {
                    match output {
                        Output::Send(bytes) => self.socket.send(Message::Binary(bytes)).await.unwrap(),
                        Output::Hello(_) => self.session.accept(0, self.epoch, self.welcome.clone()),
                        Output::Deliver { epoch, seq, items } => {
                            if acknowledge {
                                self.session.committed(epoch, seq);
                                while let Some(Output::Send(bytes)) = self.session.poll() {
                                    self.socket.send(Message::Binary(bytes)).await.unwrap();
                                }
                            }
                            return items;
                        }
                        other => panic!("{other:?}"),
                    }
                }
                match self.socket.next().await {
                    Some(Ok(Message::Binary(bytes))) => self.session.receive(0, &bytes).unwrap(),
                    Some(Ok(_)) => {}
                    end => panic!("the agent hung up: {end:?}"),
                }
            }
        })
        .await
        .expect("the agent says something")
    }

    /// Says this and talks on until the agent closes or the test is over.
    fn say(mut self, says: Vec<Say>) -> JoinHandle<()> {
        says.into_iter().for_each(|say| self.session.post(say));
        tokio::spawn(async move {
            loop {
                while let Some(output) = self.session.poll() {
                    match output {
                        Output::Send(bytes) => drop(self.socket.send(Message::Binary(bytes)).await),
                        Output::Hello(_) => self.session.accept(0, self.epoch, self.welcome.clone()),
                        Output::Deliver { epoch, seq, .. } => self.session.committed(epoch, seq),
                        _ => return,
                    }
                }
                match self.socket.next().await {
                    Some(Ok(Message::Binary(bytes))) => drop(self.session.receive(0, &bytes)),
                    Some(Ok(_)) => {}
                    _ => return,
                }
            }
        })
    }
}

async fn open(folder: &std::path::Path, url: &str, token: Option<&str>) -> Credentials {
    let store = Arc::new(FileStore::new(folder));
    Credentials::open(store, url, "c1", token.map(Token::new))
        .await
        .unwrap()
}

struct Agent {
    outgoing: Outgoing,
    readiness: Readiness,
    heard: mpsc::Receiver<Heard>,
    broken: Arc<Mutex<bool>>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Agent {
    async fn start(url: &str, token: Option<&str>) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), url, token).await
    }

    async fn start_in(folder: tempfile::TempDir, url: &str, token: Option<&str>) -> Self {
        let config = Config::default();
        let door = Door::new(url, None, config.max_frame).unwrap();
        let credentials = open(folder.path(), url, token).await;
        let outgoing = Outgoing::new(config);
        let (heard, hears) = mpsc::channel(64);
        let broken = Arc::new(Mutex::new(false));
        let ear = Ear {
            heard,
            broken: broken.clone(),
        };
        let readiness = Readiness::not_yet("not yet");
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(run(
            door,
            credentials,
            outgoing.clone(),
            ear,
            readiness.clone(),
            shutdown.clone(),
        ));
        Self {
            outgoing,
            readiness,
            heard: hears,
            broken,
            shutdown,
            task,
            folder,
        }
    }

    /// Waits until the words of its readiness are so.
    async fn readiness_becomes(&self, fits: impl Fn(&Result<String, String>) -> bool) {
        let fitting = async {
            while !fits(&self.readiness.get()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = timeout(PATIENCE, fitting).await;
        waited.unwrap_or_else(|_| panic!("it is {:?}", self.readiness.get()));
    }

    async fn hears(&mut self) -> Heard {
        timeout(PATIENCE, self.heard.recv())
            .await
            .expect("the agent hears something")
            .unwrap()
    }

    async fn stop(self) -> tempfile::TempDir {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task)
            .await
            .expect("the session stops")
            .unwrap();
        self.folder
    }
}

fn status(message: &str) -> Say {
    let environment_id = "e1".to_owned();
    Say::EnvironmentStatus(EnvironmentStatus {
        environment_id,
        message: message.into(),
        ..Default::default()
    })
}

fn spec(generation: u64) -> Say {
    Say::Environment(EnvironmentSpec {
        environment_id: "e1".into(),
        generation,
        ..Default::default()
    })
}

fn swap(credential: &str) -> Welcome {
    Welcome {
        credential: credential.into(),
        protocol: 1,
        ..Welcome::default()
    }
}

#[tokio::test]
async fn both_sides_hear_each_other() {
    let mut platform = Platform::new().await;
    let mut agent = Agent::start(&platform.url(), Some("token")).await;
    agent.outgoing.post(status("before the connection"));

    let mut line = platform.accept(Welcome::default()).await;

    assert_eq!(line.hear(true).await, [status("before the connection")]);
    line.say(vec![spec(1)]);
    assert_eq!(agent.hears().await, Heard::Opened);
    assert_eq!(agent.hears().await, Heard::Said(Box::new(spec(1))));
}

#[tokio::test]
async fn the_token_is_swapped_and_the_credential_outlives_a_restart() {
    let mut platform = Platform::new().await;
    let mut agent = Agent::start(&platform.url(), Some("activation")).await;
    let line = platform.accept(swap("credential")).await;
    assert_eq!(line.authorization, "Bearer activation");
    line.say(Vec::new());
    // It is used at once, so that the token is worth nothing any more.
    let line = platform.accept(Welcome::default()).await;
    assert_eq!(line.authorization, "Bearer credential");
    line.say(Vec::new());
    assert_eq!(agent.hears().await, Heard::Opened);

    let folder = agent.stop().await;
    let _agent = Agent::start_in(folder, &platform.url(), Some("activation")).await;

    assert_eq!(
        platform.accept(Welcome::default()).await.authorization,
        "Bearer credential"
    );
}

#[tokio::test]
async fn after_a_cut_the_agent_comes_back_and_says_again_what_was_not_acknowledged() {
    let mut platform = Platform::new().await;
    let agent = Agent::start(&platform.url(), Some("token")).await;
    agent.outgoing.post(status("one"));
    let mut line = platform.accept(Welcome::default()).await;
    assert_eq!(line.hear(false).await, [status("one")]);

    drop(line);
    agent.outgoing.post(status("two"));

    let mut line = platform.accept(Welcome::default()).await;
    assert_eq!(
        line.hear(true).await,
        [status("two")],
        "the newest of a topic takes the place of the older"
    );
    for _ in 0..1_000 {
        if agent.outgoing.waiting() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("what was acknowledged leaves the outbox");
}

#[tokio::test]
async fn what_the_agent_cannot_store_is_not_acknowledged_and_comes_again() {
    let mut platform = Platform::new().await;
    let mut agent = Agent::start(&platform.url(), Some("token")).await;
    *agent.broken.lock().unwrap() = true;
    let first = platform.accept(Welcome::default()).await.say(vec![spec(1)]);
    assert_eq!(agent.hears().await, Heard::Opened);
    timeout(PATIENCE, first)
        .await
        .expect("the agent ends the session")
        .unwrap();

    platform.accept(Welcome::default()).await.say(vec![spec(1)]);

    assert_eq!(agent.hears().await, Heard::Opened);
    assert_eq!(agent.hears().await, Heard::Said(Box::new(spec(1))));
}

#[tokio::test]
async fn a_refused_token_is_tried_again_slowly_and_a_busy_platform_when_it_says() {
    for (status, retry_after, at_least) in [(401, None, 5), (503, Some("7"), 7), (403, None, 5)] {
        let mut platform = Platform::new().await;
        let agent = Agent::start(&platform.url(), Some("token")).await;

        let begun = tokio::time::Instant::now();
        platform.refuse(status, retry_after).await;
        agent.readiness_becomes(|now| *now != Err("not yet".into())).await;
        // Played only while the agent waits: real sockets do not stop a clock that is played.
        tokio::time::pause();
        platform.listener.accept().await.unwrap();
        let waited = begun.elapsed();
        tokio::time::resume();

        assert!(waited >= Duration::from_secs(at_least), "{status}: {waited:?}");
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_refused_credential_gives_way_to_the_activation_token() {
    let folder = tempfile::tempdir().unwrap();
    let mut platform = Platform::new().await;
    let mut kept = open(folder.path(), &platform.url(), None).await;
    kept.swapped(Token::new("revoked")).await.unwrap();
    let _agent = Agent::start_in(folder, &platform.url(), Some("activation")).await;

    platform.refuse(401, None).await;

    assert_eq!(
        platform.accept(Welcome::default()).await.authorization,
        "Bearer activation"
    );
}

#[tokio::test]
async fn a_new_credential_is_kept_and_shown_at_once() {
    let mut platform = Platform::new().await;
    let mut agent = Agent::start(&platform.url(), Some("activation")).await;
    let line = platform.accept(Welcome::default()).await;
    let ended = line.say(vec![Say::Credential(NewCredential {
        credential: "second".into(),
    })]);
    assert_eq!(agent.hears().await, Heard::Opened);
    timeout(PATIENCE, ended)
        .await
        .expect("the agent ends the session that began with the old one")
        .unwrap();

    let line = platform.accept(Welcome::default()).await;
    assert_eq!(line.authorization, "Bearer second");
    line.say(Vec::new());
    assert_eq!(agent.hears().await, Heard::Opened, "nobody else hears of it");

    let folder = agent.stop().await;
    let _agent = Agent::start_in(folder, &platform.url(), None).await;
    assert_eq!(
        platform.accept(Welcome::default()).await.authorization,
        "Bearer second"
    );
}

#[tokio::test]
async fn readiness_tells_why_the_platform_does_not_take_it_in() {
    let mut platform = Platform::new().await;
    let agent = Agent::start(&platform.url(), Some("token")).await;
    assert_eq!(agent.readiness.get(), Err("not yet".into()));

    platform.refuse(503, None).await;
    agent
        .readiness_becomes(|now| now.as_ref().is_err_and(|words| words.contains("503")))
        .await;
    let session = platform.accept(Welcome::default()).await.say(Vec::new());
    agent.readiness_becomes(Result::is_ok).await;
    session.abort();
    platform.refuse(503, None).await;
    assert!(
        agent.readiness.get().is_ok(),
        "it was taken in and goes on with what it knows"
    );
    platform.refuse(401, None).await;
    agent
        .readiness_becomes(|now| now.as_ref().is_err_and(|words| words.contains("the token: no")))
        .await;
}

#[tokio::test]
async fn a_probe_asks_and_opens_nothing() {
    let mut platform = Platform::new().await;
    let door = Door::new(&platform.url(), None, 1 << 20).unwrap();
    for (status, fits) in [(404, true), (401, false), (503, false)] {
        let probed = tokio::spawn({
            let door = door.clone();
            async move { door.probe(&Token::new("token")).await }
        });
        platform.refuse(status, None).await;
        assert_eq!(probed.await.unwrap().is_ok(), fits, "{status}");
    }
}

#[tokio::test]
async fn a_stop_says_goodbye() {
    let mut platform = Platform::new().await;
    let mut agent = Agent::start(&platform.url(), Some("token")).await;
    let line = platform.accept(Welcome::default()).await.say(Vec::new());
    assert_eq!(agent.hears().await, Heard::Opened);

    agent.stop().await;

    timeout(PATIENCE, line)
        .await
        .expect("the platform hears of it")
        .unwrap();
}

#[test]
fn who_was_pushed_out_does_not_push_back_at_once() {
    let ending = |code| Ending {
        code,
        reason: String::new(),
        retry_after: None,
        open_for: None,
    };
    assert_eq!(
        after(&ending(ByeCode::Superseded)),
        Next::Slow { retry_after: None }
    );
    assert_eq!(
        after(&ending(ByeCode::Timeout)),
        Next::Usual { retry_after: None }
    );
    let asked = Some(Duration::from_secs(9));
    assert_eq!(
        after(&Ending {
            retry_after: asked,
            ..ending(ByeCode::Overloaded)
        }),
        Next::Usual { retry_after: asked }
    );
}

#[test]
fn the_words_for_a_refused_token_tell_what_to_do() {
    assert!(
        DialError::token_refused(None)
            .to_string()
            .contains("`c7n cluster activation`")
    );
    let _ = Bye::default();
}
