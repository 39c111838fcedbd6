//! The platform of a test: lets the agent in by its tickets, and gives its socket to whoever plays the person.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use c7n_stream::{End, Frame, Part, Pipe, Seated, Ticket};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

use super::Dice;

/// For what must happen.
pub const PATIENCE: Duration = Duration::from_secs(90);
pub const CREDENTIAL: &str = "of-the-agent";

type Socket = WebSocketStream<TcpStream>;
type Expected = Arc<Mutex<HashMap<String, mpsc::Sender<Socket>>>>;

pub struct Seam {
    port: u16,
    expected: Expected,
    tickets: Arc<AtomicU64>,
    open: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

/// One stream as the platform has it: its socket, and where the next one comes when that breaks.
pub struct Line {
    socket: Option<Socket>,
    sockets: mpsc::Receiver<Socket>,
    again: mpsc::Sender<Socket>,
    expected: Expected,
    tickets: Arc<AtomicU64>,
    open: Arc<AtomicUsize>,
}

impl Seam {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let expected = Expected::default();
        let mut serving = JoinSet::new();
        let known = expected.clone();
        serving.spawn(async move {
            let mut knocking = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let known = known.clone();
                knocking.spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let _ = let_in(stream, known).await;
                });
            }
        });
        Ok(Self {
            port,
            expected,
            tickets: Arc::default(),
            open: Arc::default(),
            _serving: serving,
        })
    }

    pub fn connect(&self) -> String {
        format!("ws://127.0.0.1:{}/agent/", self.port)
    }

    /// A ticket, and where who shows it comes.
    pub fn expect(&self) -> (Bytes, Line) {
        let (again, sockets) = mpsc::channel(1);
        let line = Line {
            socket: None,
            sockets,
            again,
            expected: self.expected.clone(),
            tickets: self.tickets.clone(),
            open: self.open.clone(),
        };
        (line.ticket(), line)
    }

    /// Lines whose socket is there.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

// The type of an error of the callback is the library's.
#[expect(clippy::result_large_err)]
async fn let_in(stream: TcpStream, expected: Expected) -> Result<()> {
    let mut whose = None;
    let look = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let header = |name: &str| {
            let value = request.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let ticket = header(c7n_stream::TICKET_HEADER).unwrap_or_default();
        whose = known(&expected).remove(&ticket);
        let in_order = request.uri().path() == c7n_stream::AGENT_PATH
            && header("authorization") == Some(format!("Bearer {CREDENTIAL}"))
            && header("sec-websocket-protocol").as_deref() == Some(c7n_stream::SUBPROTOCOL);
        if !in_order || whose.is_none() {
            let mut refused = ErrorResponse::new(Some("this ticket is good for nothing".to_owned()));
            *refused.status_mut() = StatusCode::UNAUTHORIZED;
            return Err(refused);
        }
        let protocol = HeaderValue::from_static(c7n_stream::SUBPROTOCOL);
        response.headers_mut().insert("sec-websocket-protocol", protocol);
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, look).await?;
    whose.context("it was let in")?.send(socket).await?;
    Ok(())
}

fn known(expected: &Expected) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Socket>>> {
    expected.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    fn ticket(&self) -> Bytes {
        let number = self.tickets.fetch_add(1, Ordering::SeqCst);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let ticket = Ticket::new(bytes);
        let again = self.again.clone();
        known(&self.expected).insert(ticket.reveal(), again);
        Bytes::copy_from_slice(ticket.as_bytes())
    }

    pub async fn seated(mut self) -> Result<Self> {
        self.take_seat().await?;
        Ok(self)
    }

    async fn take_seat(&mut self) -> Result<()> {
        let socket = timeout(PATIENCE, self.sockets.recv())
            .await
            .context("the agent does not come")?;
        self.socket = socket;
        self.open.fetch_add(1, Ordering::SeqCst);
        let resume = self.ticket();
        self.send(Frame::Seated(Seated {
            resume,
            patience_ms: 60_000,
        }))
        .await
    }

    pub async fn send(&mut self, frame: Frame) -> Result<()> {
        let socket = self.socket.as_mut().context("there is a socket")?;
        socket.send(Message::Binary(frame.encode())).await?;
        Ok(())
    }

    /// The socket breaks, without a word.
    pub fn cut(&mut self) {
        if self.socket.take().is_some() {
            self.open.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// `None` when it was closed.
    pub async fn next(&mut self) -> Result<Option<Frame>> {
        let socket = self.socket.as_mut().context("there is a socket")?;
        let frame = async {
            loop {
                match socket.next().await {
                    Some(Ok(Message::Binary(bytes))) => return Ok(Some(Frame::decode(bytes)?)),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(None),
                    // Signs of life alone are nothing.
                    Some(Ok(_)) => {}
                }
            }
        };
        timeout(PATIENCE, frame).await.context("nothing comes")?
    }

    /// Until the agent says why it is over.
    pub async fn end(&mut self) -> Result<End> {
        loop {
            match self.next().await? {
                Some(Frame::End(end)) => return Ok(end),
                Some(_) => {}
                None => bail!("it was closed without a word"),
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.cut();
    }
}

/// Who types and reads.
pub struct Person {
    pub line: Line,
    pub pipe: Pipe,
    pub input: std::collections::VecDeque<Part>,
    pub output: Vec<u8>,
    pub error_output: Vec<u8>,
    pub last: Option<Part>,
    /// The line is cut after so many frames, again and again.
    pub cuts: Option<(Dice, u64)>,
    pub broke: usize,
}

impl Person {
    pub fn at(line: Line) -> Self {
        Self {
            line,
            pipe: Pipe::new(),
            input: std::collections::VecDeque::new(),
            output: Vec::new(),
            error_output: Vec::new(),
            last: None,
            cuts: None,
            broke: 0,
        }
    }

    pub fn types(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(10_000) {
            self.input.push_back(Part::Input(Bytes::copy_from_slice(piece)));
        }
    }

    /// Until `enough`, or the stream ends.
    pub async fn talk(&mut self, enough: impl Fn(&Self) -> bool) -> Result<Option<End>> {
        let mut to_cut = self.next_cut();
        loop {
            if enough(self) {
                return Ok(None);
            }
            while self.pipe.has_room()
                && let Some(part) = self.input.pop_front()
            {
                self.pipe.offer(part);
            }
            let mut broken = false;
            while let Some(frame) = self.pipe.poll() {
                broken |= self.line.send(frame).await.is_err();
            }
            let frame = if broken { None } else { self.line.next().await? };
            to_cut = to_cut.saturating_sub(1);
            if to_cut == 0 && self.cuts.is_some() {
                self.line.cut();
            }
            match frame {
                Some(Frame::End(end)) => return Ok(Some(end)),
                Some(frame) if self.line.socket.is_some() => {
                    if let Some(part) = self.pipe.receive(frame)? {
                        self.keep(part);
                        self.pipe.consumed();
                    }
                }
                // What came last is lost with the line.
                _ => {
                    self.broke += 1;
                    self.line.cut();
                    self.line.take_seat().await?;
                    self.pipe.rejoined();
                    to_cut = self.next_cut();
                }
            }
        }
    }

    fn next_cut(&mut self) -> u64 {
        match &mut self.cuts {
            Some((dice, most)) => dice.roll(*most) + 1,
            None => u64::MAX,
        }
    }

    fn keep(&mut self, part: Part) {
        match part {
            Part::Output(bytes) => self.output.extend_from_slice(&bytes),
            Part::ErrorOutput(bytes) => self.error_output.extend_from_slice(&bytes),
            other => self.last = Some(other),
        }
    }

    /// To the end; what the process ended with.
    pub async fn exit_code(&mut self) -> Result<i32> {
        let end = self.talk(|_| false).await?.context("it ends")?;
        ensure!(end.code() == c7n_stream::EndCode::Completed, "{end:?}");
        match &self.last {
            Some(Part::Finished(finished)) => Ok(finished.exit_code),
            other => bail!("no exit code: {other:?}"),
        }
    }
}

/// Some time, for what must not happen.
pub const A_WHILE: Duration = Duration::from_millis(500);
