//! One WebSocket with both its directions: what comes, what goes out bit by bit, and whether somebody is still there.
//!
//! In: messages to write. Out: messages that came. Never: more than a few messages that wait to be written.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// A ping goes out, and the other side is listened for, this often.
pub const TICK: Duration = Duration::from_secs(10);
/// Whoever was not heard for so long is gone.
pub const SILENCE: Duration = Duration::from_secs(30);
const FAREWELL: Duration = Duration::from_secs(2);
const WAITING: usize = 2;

/// Why a wire is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub String);

pub enum Came {
    Bytes(Bytes),
    /// A sign of life.
    Sign,
}

pub enum Wrote {
    Something,
    Everything,
}

pub struct Wire<S> {
    pub reader: Reader<S>,
    pub writer: Writer<S>,
}

pub struct Reader<S> {
    stream: SplitStream<WebSocketStream<S>>,
    heard: Instant,
}

pub struct Writer<S> {
    sink: SplitSink<WebSocketStream<S>, Message>,
    queue: VecDeque<Message>,
    dirty_since: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(socket: WebSocketStream<S>) -> Self {
        let (sink, stream) = socket.split();
        Self {
            reader: Reader {
                stream,
                heard: Instant::now(),
            },
            writer: Writer {
                sink,
                queue: VecDeque::new(),
                dirty_since: None,
            },
        }
    }

    /// What came next. Safe to drop.
    pub async fn next(&mut self) -> Result<Bytes, Broken> {
        loop {
            tokio::select! {
                came = self.reader.next() => match came? {
                    Came::Bytes(bytes) => return Ok(bytes),
                    Came::Sign => self.writer.sign(),
                },
                wrote = self.writer.progress(), if self.writer.is_dirty() => {
                    wrote?;
                }
            }
        }
    }

    /// Every [`TICK`]: asks for a sign of life. An error when there was none for too long.
    pub fn tick(&mut self, silence: Duration) -> Result<(), Broken> {
        if self.reader.heard.elapsed() >= silence {
            return Err(Broken(format!("nothing was heard for {} s", silence.as_secs())));
        }
        if self.writer.has_room() {
            self.writer.push(Message::Ping(Bytes::new()));
        }
        Ok(())
    }

    /// Writes what waits and closes, if that is possible at once.
    pub async fn close(mut self) {
        let farewell = async {
            while let Some(message) = self.writer.queue.pop_front() {
                self.writer.sink.feed(message).await?;
            }
            self.writer.sink.send(Message::Close(None)).await?;
            // The other side closes as well; a socket that is torn down first may lose what is under way.
            while let Some(Ok(message)) = self.reader.stream.next().await {
                if message.is_close() {
                    break;
                }
            }
            Ok::<_, tokio_tungstenite::tungstenite::Error>(())
        };
        // Who is not there needs no farewell.
        let _ = timeout(FAREWELL, farewell).await;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<S> {
    /// Safe to drop.
    pub async fn next(&mut self) -> Result<Came, Broken> {
        let message = self.stream.next().await;
        self.heard = Instant::now();
        match message {
            Some(Ok(Message::Binary(bytes))) => Ok(Came::Bytes(bytes)),
            Some(Ok(Message::Close(frame))) => Err(Broken(match frame {
                Some(frame) if !frame.reason.is_empty() => format!("it was closed: {}", frame.reason),
                _ => "it was closed".to_owned(),
            })),
            Some(Ok(Message::Text(_))) => Err(Broken("text came where bytes are due".to_owned())),
            Some(Ok(_)) => Ok(Came::Sign),
            Some(Err(cause)) => Err(Broken(cause.to_string())),
            None => Err(Broken("it was closed".to_owned())),
        }
    }

    /// It is known why nothing was heard.
    pub fn excuse(&mut self) {
        self.heard = Instant::now();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    pub fn has_room(&self) -> bool {
        self.queue.len() < WAITING
    }

    pub fn send(&mut self, bytes: Bytes) {
        self.push(Message::Binary(bytes));
    }

    fn push(&mut self, message: Message) {
        self.queue.push_back(message);
        self.sign();
    }

    /// The socket has an answer of its own to write.
    pub fn sign(&mut self) {
        self.dirty_since.get_or_insert_with(Instant::now);
    }

    pub fn is_dirty(&self) -> bool {
        self.dirty_since.is_some()
    }

    /// For how long nothing has been taken.
    pub fn stalled_for(&self) -> Duration {
        self.dirty_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Hands one message to the socket, or flushes when there is none left. Safe to drop at any time: a message leaves the
    /// queue only in the same step in which the socket takes it.
    pub async fn progress(&mut self) -> Result<Wrote, Broken> {
        let broken = |cause: tokio_tungstenite::tungstenite::Error| Broken(cause.to_string());
        if self.queue.is_empty() {
            self.sink.flush().await.map_err(broken)?;
            self.dirty_since = None;
            return Ok(Wrote::Everything);
        }
        std::future::poll_fn(|context| self.sink.poll_ready_unpin(context))
            .await
            .map_err(broken)?;
        if let Some(message) = self.queue.pop_front() {
            self.sink.start_send_unpin(message).map_err(broken)?;
        }
        self.dirty_since = Some(Instant::now());
        Ok(Wrote::Something)
    }
}
