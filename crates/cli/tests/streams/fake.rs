//! A platform that seats nobody but the person's end, and does with it what a test wants.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use c7n_stream::{Frame, LogBytes, LogPosition, LogSource, LogSourceState, SUBPROTOCOL, Seated, Ticket};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

pub const PATIENCE: Duration = Duration::from_secs(60);
pub const TOKEN: &str = "c7n_a-token-of-a-test";

pub struct Fake {
    pub address: SocketAddr,
    /// How long it says that it keeps a seat.
    pub patience: Duration,
    mood: Arc<Mood>,
    opened: mpsc::Receiver<Value>,
    seats: mpsc::Receiver<Seat>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Mood {
    away: AtomicBool,
    turned_away: Notify,
    forgetful: AtomicBool,
}

impl Mood {
    fn turns_away(&self) -> bool {
        let away = self.away.load(Ordering::SeqCst);
        if away {
            self.turned_away.notify_one();
        }
        away
    }
}

/// A socket that has shown a ticket.
pub struct Seat {
    pub ticket: String,
    socket: WebSocketStream<TcpStream>,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, opened) = mpsc::channel(16);
        let (sit, seats) = mpsc::channel(16);
        let mood = Arc::<Mood>::default();
        let felt = Arc::clone(&mood);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                if !felt.turns_away() {
                    connections.spawn(serve(connection, open.clone(), sit.clone(), Arc::clone(&felt)));
                }
            }
        });
        Self {
            address,
            patience: Duration::from_secs(60),
            mood,
            opened,
            seats,
            task,
        }
    }

    /// Every new connection is closed at once; those that are there stay.
    pub fn away(&self, away: bool) {
        self.mood.away.store(away, Ordering::SeqCst);
    }

    /// Until somebody has come while it was away.
    pub async fn turned_away(&self) {
        let turned = tokio::time::timeout(PATIENCE, self.mood.turned_away.notified());
        turned.await.expect("nobody comes");
    }

    /// No ticket is known any more.
    pub fn forgets(&self) {
        self.mood.forgetful.store(true, Ordering::SeqCst);
    }

    /// What the next call that opens a stream wants.
    pub async fn opened(&mut self) -> Value {
        let opened = tokio::time::timeout(PATIENCE, self.opened.recv()).await;
        opened.expect("no stream is opened").unwrap()
    }

    /// The next socket, with its first frame said.
    pub async fn seat(&mut self, resume: Option<u8>) -> Seat {
        let seat = tokio::time::timeout(PATIENCE, self.seats.recv()).await;
        let mut seat = seat.expect("nobody comes").unwrap();
        let resume = resume.map_or_else(Vec::new, |number| vec![number; 16]);
        seat.say(Frame::Seated(Seated {
            resume: resume.into(),
            patience_ms: u32::try_from(self.patience.as_millis()).unwrap(),
        }))
        .await;
        seat
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seat {
    pub async fn say(&mut self, frame: Frame) {
        self.socket.send(Message::Binary(frame.encode())).await.unwrap();
    }

    /// A container named `app`, whose log this is.
    pub async fn source(&mut self, source: u32, pod: &str, state: LogSourceState) {
        self.say(Frame::LogSource(LogSource {
            source,
            pod: pod.to_owned(),
            pod_uid: format!("0b5c7a3e-{pod}"),
            container: "app".to_owned(),
            state: state.into(),
            message: String::new(),
        }))
        .await;
    }

    pub async fn bytes(&mut self, source: u32, text: &str, end: LogPosition) {
        self.say(Frame::LogBytes(LogBytes {
            source,
            end,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
        }))
        .await;
    }

    /// The next frame, `None` at the end.
    pub async fn hear(&mut self) -> Option<Frame> {
        loop {
            let heard = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match heard.expect("nothing is said")?.ok()? {
                Message::Binary(bytes) => return Some(Frame::decode(bytes).unwrap()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }
}

pub fn position(time_ns: i64, offset: u64) -> LogPosition {
    LogPosition {
        time_ns,
        nth: 1,
        offset,
    }
}

pub fn ticket(number: u8) -> String {
    Ticket::new([number; 16]).reveal()
}

async fn serve(
    mut connection: TcpStream,
    open: mpsc::Sender<Value>,
    sit: mpsc::Sender<Seat>,
    mood: Arc<Mood>,
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match connection.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let first = head.lines().next().unwrap().to_owned();
        assert!(!first.contains("ticket") && !first.contains(TOKEN), "{first}");
        let header = |name: &str| {
            head.lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.to_owned())
        };
        assert_eq!(header("authorization"), Some(format!("Bearer {TOKEN}")));
        if let Some(key) = header("sec-websocket-key") {
            assert_eq!(first, "GET /api/v1/streams HTTP/1.1");
            let offered = header("sec-websocket-protocol").unwrap();
            let (stream, ticket) = offered.split_once(", c7n.ticket.").unwrap();
            assert_eq!(stream, SUBPROTOCOL);
            if mood.forgetful.load(Ordering::SeqCst) {
                let problem = json!({
                    "code": "bad-ticket", "status": 401, "title": "this ticket opens no stream", "next": "open a stream",
                });
                return answer(&mut connection, "401 Unauthorized", &problem).await;
            }
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
                derive_accept_key(key.as_bytes())
            );
            connection.write_all(answer.as_bytes()).await.unwrap();
            let seat = Seat {
                ticket: ticket.to_owned(),
                socket: WebSocketStream::from_raw_socket(connection, Role::Server, None).await,
            };
            let _ = sit.send(seat).await;
            return;
        }
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await.unwrap();
        if mood.turns_away() {
            return;
        }
        let (status, said) = if first.starts_with("POST ") {
            assert_eq!(
                first,
                "POST /api/v1/projects/shop/environments/staging/streams HTTP/1.1"
            );
            let _ = open.send(serde_json::from_slice(&body).unwrap()).await;
            let opened =
                json!({"id": "s", "ticket": ticket(0), "path": "/api/v1/streams", "expires_ms": 10_000});
            ("201 Created", opened)
        } else {
            let problem =
                json!({"code": "not-found", "status": 404, "title": "there is no such instance", "next": ""});
            ("404 Not Found", problem)
        };
        answer(&mut connection, status, &said).await;
    }
}

async fn answer(connection: &mut TcpStream, status: &str, said: &Value) {
    let said = said.to_string();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{said}",
        said.len()
    );
    connection.write_all(answer.as_bytes()).await.unwrap();
}
