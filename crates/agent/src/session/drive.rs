//! One session over one socket: carries bytes and times into the link's state machine and its outputs out of it.
//!
//! Reads, writes and the clock run beside each other: a peer that does not read cannot keep the agent from hearing it,
//! and one that is mute for too long is given up.

use std::collections::VecDeque;
use std::time::Duration;

use c7n_link::Output;
use c7n_link::messages::{ByeCode, Hello, Say, Welcome};
use futures_util::{Sink, SinkExt, StreamExt};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Message};
use tokio_util::sync::CancellationToken;

use super::dial::Socket;
use super::outgoing::Outgoing;
use crate::config::Token;

/// What was handed to the socket must be gone after this time.
const WRITE_DEADLINE: Duration = Duration::from_secs(20);
/// Why a session ends that has handed out a credential.
pub(super) const RENEWED: &str = "the agent comes back with its new credential";
/// How long a farewell may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Who hears what the platform says.
pub trait Inbox: Send + Sync + 'static {
    /// What the agent says of itself, anew at each connection.
    fn hello(&self) -> impl Future<Output = Hello> + Send;
    /// The platform has taken the agent in. Afterwards items come.
    fn opened(&self, welcome: &Welcome) -> impl Future<Output = ()> + Send;
    /// Stores the items. They are acknowledged when this returns well; otherwise the session ends and they come again.
    fn deliver(&self, items: Vec<Say>) -> impl Future<Output = Result<(), String>> + Send;
}

/// Whether a session goes on with what it was opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    TheSame,
    Another,
}

/// Who keeps what the platform hands out.
pub trait Wallet: Send {
    /// Called before anything else is made of the welcome. What is shown from now on: [`Shows::Another`] begins a session
    /// anew with it, so that the one before it is used up.
    fn welcomed(&mut self, welcome: &Welcome) -> impl Future<Output = Shows> + Send;
    /// A credential in place of the old one; kept when this returns well.
    fn renewed(&mut self, credential: Token) -> impl Future<Output = Result<(), String>> + Send;
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub code: ByeCode,
    pub reason: String,
    pub retry_after: Option<Duration>,
    /// How long the platform had taken the agent in, if it had.
    pub open_for: Option<Duration>,
}

/// Drives the session until it ends.
pub async fn drive<I: Inbox>(
    socket: Socket,
    outgoing: &Outgoing,
    inbox: &I,
    wallet: impl Wallet,
    shutdown: &CancellationToken,
) -> Ending {
    let hello = inbox.hello().await;
    let mut drive = Drive {
        outgoing,
        inbox,
        start: Instant::now(),
        opened: None,
        queue: VecDeque::new(),
        dirty_since: None,
        wallet,
        redial: Redial::No,
    };
    outgoing.with(|session| session.connected(0, Some(hello)));
    let ending = drive.run(socket, shutdown).await;
    outgoing.with(c7n_link::Session::disconnected);
    ending
}

struct Drive<'a, I, W> {
    outgoing: &'a Outgoing,
    inbox: &'a I,
    start: Instant,
    opened: Option<Instant>,
    queue: VecDeque<Message>,
    /// Since when something waits to leave this machine.
    dirty_since: Option<Instant>,
    wallet: W,
    redial: Redial,
}

/// A new credential counts when it was used, so the next session begins at once, when the old one has said all it had to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Redial {
    No,
    WhenAcknowledged,
}

impl<I: Inbox, W: Wallet> Drive<'_, I, W> {
    async fn run(&mut self, socket: Socket, shutdown: &CancellationToken) -> Ending {
        let (mut sink, mut stream) = socket.split();
        loop {
            if let Some(ending) = self.carry_out().await {
                self.say_goodbye(&mut sink).await;
                return ending;
            }
            if self.redial == Redial::WhenAcknowledged && self.dirty_since.is_none() {
                self.redial = Redial::No;
                self.outgoing
                    .with(|session| session.refuse(ByeCode::GoingAway, RENEWED, 0));
                continue;
            }
            let clock = self.next_deadline();
            tokio::select! {
                () = shutdown.cancelled() => {
                    self.outgoing.with(|session| session.refuse(ByeCode::GoingAway, "the agent stops", 0));
                }
                message = stream.next() => {
                    if let Some((code, reason)) = self.hear(message) {
                        return self.ending(code, reason, None);
                    }
                }
                written = write_one(&mut sink, &mut self.queue), if self.dirty_since.is_some() => match written {
                    Ok(Wrote::Something) => self.dirty_since = Some(Instant::now()),
                    Ok(Wrote::Everything) => self.dirty_since = None,
                    Err(cause) => return self.ending(ByeCode::Unspecified, cause, None),
                },
                () = self.outgoing.posted_something() => {}
                () = tokio::time::sleep_until(clock) => {
                    if self.dirty_since.is_some_and(|since| since.elapsed() >= WRITE_DEADLINE) {
                        return self.ending(ByeCode::Timeout, "the platform reads nothing any more", None);
                    }
                    let now = self.now();
                    self.outgoing.with(|session| session.tick(now));
                }
            }
        }
    }

    /// Takes one message of the socket; answers why the session is over, if it is.
    fn hear(&mut self, message: Option<Result<Message, WsError>>) -> Option<(ByeCode, String)> {
        let over = |reason: String| Some((ByeCode::Unspecified, reason));
        match message {
            Some(Ok(Message::Binary(bytes))) => {
                self.receive(&bytes);
                None
            }
            // The socket answers these itself; the answer has to be flushed.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                self.dirty_since.get_or_insert_with(Instant::now);
                None
            }
            Some(Ok(Message::Close(frame))) => {
                let reason = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                over(format!("the platform closed the socket {reason}"))
            }
            Some(Ok(_)) => Some((ByeCode::ProtocolError, "text came where frames are due".into())),
            Some(Err(cause)) => over(cause.to_string()),
            None => over("the socket was closed".into()),
        }
    }

    /// Carries out what the state machine wants; ends when that is the end of the session.
    async fn carry_out(&mut self) -> Option<Ending> {
        // What is not written yet is not added to: the window of the link bounds what waits here.
        while self.queue.is_empty() || !self.outgoing.with(|session| session.is_open()) {
            let output = self.outgoing.with(c7n_link::Session::poll)?;
            match output {
                Output::Send(bytes) => {
                    self.queue.push_back(Message::Binary(bytes));
                    self.dirty_since = self.dirty_since.or(Some(Instant::now()));
                }
                Output::Welcome(welcome) => {
                    self.opened = Some(Instant::now());
                    if self.wallet.welcomed(&welcome).await == Shows::Another {
                        self.outgoing
                            .with(|session| session.refuse(ByeCode::GoingAway, RENEWED, 0));
                        continue;
                    }
                    self.inbox.opened(&welcome).await;
                }
                Output::Deliver { epoch, seq, items } => match self.deliver(items).await {
                    Ok(()) => self.outgoing.with(|session| session.committed(epoch, seq)),
                    Err(reason) => {
                        let words = format!("the agent cannot store what it was told: {reason}");
                        self.outgoing
                            .with(|session| session.refuse(ByeCode::Overloaded, &words, 0));
                    }
                },
                Output::Close {
                    code,
                    reason,
                    retry_after_ms,
                } => {
                    let retry_after = (retry_after_ms > 0).then(|| Duration::from_millis(retry_after_ms));
                    return Some(self.ending(code, reason, retry_after));
                }
                // The session of an agent is never introduced to.
                Output::Hello(_) => {}
            }
        }
        None
    }

    async fn deliver(&mut self, items: Vec<Say>) -> Result<(), String> {
        let (credentials, items): (Vec<Say>, Vec<Say>) = items
            .into_iter()
            .partition(|say| matches!(say, Say::Credential(_)));
        if !items.is_empty() {
            self.inbox.deliver(items).await?;
        }
        for say in credentials {
            if let Say::Credential(new) = say {
                self.wallet.renewed(Token::new(new.credential)).await?;
                self.redial = Redial::WhenAcknowledged;
            }
        }
        Ok(())
    }

    fn receive(&mut self, bytes: &Bytes) {
        let now = self.now();
        if let Err(error) = self.outgoing.with(|session| session.receive(now, bytes)) {
            tracing::warn!(%error, "the platform said what the agent does not understand");
        }
    }

    fn next_deadline(&self) -> Instant {
        let session = self.outgoing.with(|session| session.next_deadline());
        let session = session.map(|ms| self.start + Duration::from_millis(ms));
        let write = self.dirty_since.map(|since| since + WRITE_DEADLINE);
        session
            .into_iter()
            .chain(write)
            .min()
            .unwrap_or_else(|| Instant::now() + WRITE_DEADLINE)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn ending(&self, code: ByeCode, reason: impl ToString, retry_after: Option<Duration>) -> Ending {
        Ending {
            code,
            reason: reason.to_string(),
            retry_after,
            open_for: self.opened.map(|at| at.elapsed()),
        }
    }

    /// Tells the peer, if that is possible at once: nobody waits for one who does not listen.
    async fn say_goodbye(&mut self, sink: &mut (impl Sink<Message, Error = WsError> + Unpin)) {
        let farewell = async {
            while let Some(message) = self.queue.pop_front() {
                sink.feed(message).await?;
            }
            sink.send(Message::Close(None)).await
        };
        if timeout(CLOSE_DEADLINE, farewell).await.is_err() {
            tracing::debug!("the platform was not there to be told goodbye");
        }
    }
}

enum Wrote {
    Something,
    Everything,
}

/// Hands one message to the socket, or flushes when there is none left. Safe to drop at any time: a message leaves the
/// queue only in the same step in which the socket takes it.
async fn write_one(
    sink: &mut (impl Sink<Message, Error = WsError> + Unpin),
    queue: &mut VecDeque<Message>,
) -> Result<Wrote, WsError> {
    if queue.is_empty() {
        sink.flush().await?;
        return Ok(Wrote::Everything);
    }
    std::future::poll_fn(|context| sink.poll_ready_unpin(context)).await?;
    if let Some(message) = queue.pop_front() {
        sink.start_send_unpin(message)?;
    }
    Ok(Wrote::Something)
}
