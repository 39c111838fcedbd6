//! One side's half of the dialogue, without I/O.
//!
//! How a shell drives it: call [`Session::connected`] when the socket is open, [`Session::receive`] with every binary message,
//! [`Session::tick`] at [`Session::next_deadline`], [`Session::post`] with what is to be said, [`Session::disconnected`] when the
//! socket is gone; after each call carry out what [`Session::poll`] gives until it gives nothing. `now` is milliseconds of any
//! monotonic clock.

mod config;
mod error;
mod oversize;
mod receive;
mod send;
mod weigh;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

pub use config::Config;
pub use error::ProtocolError;
pub use oversize::Oversized;

use crate::messages::{Bye, ByeCode, Control, Frame, Hello, Ping, Say, Topic, Welcome};
use crate::outbox::{Outbox, Taken};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Dials, says hello.
    Agent,
    /// Is dialled, numbers the sessions, says welcome.
    Platform,
}

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Write this as one binary message.
    Send(Bytes),
    /// The agent introduced itself. Answer with [`Session::accept`] or [`Session::refuse`].
    Hello(Hello),
    /// The platform took us in.
    Welcome(Welcome),
    /// Store these, then call [`Session::committed`] with `epoch` and `seq`. Items of unknown sorts are left out.
    Deliver { epoch: u64, seq: u64, items: Vec<Say> },
    /// Close the socket; the peer has been told why if it could be.
    Close {
        code: ByeCode,
        reason: String,
        retry_after_ms: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// Platform: the socket is open, nothing was said.
    AwaitingHello,
    /// Platform: the shell decides.
    AwaitingAccept,
    /// Agent: hello is out.
    AwaitingWelcome,
    Open,
    /// Close was given out; whatever comes is ignored.
    Closing,
}

/// See the module's head.
#[derive(Debug)]
pub struct Session {
    role: Role,
    config: Config,
    state: State,
    epoch: u64,
    outbox: Outbox,
    output: VecDeque<Output>,
    // what we say
    next_seq: u64,
    under_way: VecDeque<UnderWay>,
    under_way_bytes: usize,
    oversized: Vec<Oversized>,
    // what we hear
    received: u64,
    partial: BytesMut,
    /// Delivered and not committed: position and size of each message.
    uncommitted: VecDeque<(u64, usize)>,
    uncommitted_bytes: usize,
    committed: u64,
    acknowledged: u64,
    // the clock's side
    last_heard: u64,
    last_ping: u64,
    unknown_items: u64,
}

/// A frame that was sent and is not acknowledged.
#[derive(Debug)]
struct UnderWay {
    seq: u64,
    /// With the last chunk of a message: its size before compression.
    bytes: usize,
    /// With the last chunk of a message: what it says.
    taken: Vec<Taken>,
}

impl Session {
    pub fn new(role: Role, config: Config) -> Self {
        Self {
            role,
            config,
            state: State::Closed,
            epoch: 0,
            outbox: Outbox::default(),
            output: VecDeque::new(),
            next_seq: 1,
            under_way: VecDeque::new(),
            under_way_bytes: 0,
            oversized: Vec::new(),
            received: 0,
            partial: BytesMut::new(),
            uncommitted: VecDeque::new(),
            uncommitted_bytes: 0,
            committed: 0,
            acknowledged: 0,
            last_heard: 0,
            last_ping: 0,
            unknown_items: 0,
        }
    }

    /// The socket is open. The agent gives its hello, the platform waits for one.
    pub fn connected(&mut self, now: u64, hello: Option<Hello>) {
        self.disconnected();
        self.last_heard = now;
        self.last_ping = now;
        match (self.role, hello) {
            (Role::Agent, Some(hello)) => {
                self.state = State::AwaitingWelcome;
                let hello = self.within_budget(hello);
                self.send_control(Control::Hello(hello));
            }
            _ => self.state = State::AwaitingHello,
        }
    }

    /// The socket is gone. What was under way goes back to the outbox.
    pub fn disconnected(&mut self) {
        self.state = State::Closed;
        self.epoch = 0;
        self.output.clear();
        self.under_way.clear();
        self.under_way_bytes = 0;
        self.outbox.requeue();
        self.next_seq = 1;
        self.received = 0;
        self.partial = BytesMut::new();
        self.uncommitted.clear();
        self.uncommitted_bytes = 0;
        self.committed = 0;
        self.acknowledged = 0;
    }

    /// Platform: takes the agent in, under an epoch higher than any before it.
    pub fn accept(&mut self, now: u64, epoch: u64, welcome: Welcome) {
        if self.state == State::AwaitingAccept {
            self.state = State::Open;
            self.epoch = epoch;
            self.last_heard = now;
            self.last_ping = now;
            self.send_control(Control::Welcome(welcome));
        }
    }

    /// Ends the session with words for the peer.
    pub fn refuse(&mut self, code: ByeCode, reason: &str, retry_after_ms: u64) {
        if !matches!(self.state, State::Closed | State::Closing) {
            let bye = Bye {
                code: code.into(),
                reason: reason.to_owned(),
                retry_after_ms,
            };
            self.send_control(Control::Bye(bye));
            self.close(code, reason, retry_after_ms);
        }
    }

    /// Something to say; it takes the place of what was said before on the same topic. What no message can hold is never
    /// sent, and never silently: see [`Session::take_oversized`].
    pub fn post(&mut self, say: Say) {
        if let Some(say) = self.fitting(say) {
            self.outbox.post(say);
        }
    }

    /// What was posted and is too big for the link, since the last call. Where the item has a place for words, the peer got a
    /// shorter one that tells so.
    pub fn take_oversized(&mut self) -> Vec<Oversized> {
        std::mem::take(&mut self.oversized)
    }

    /// What need not be said any more.
    pub fn withdraw(&mut self, topic: &Topic) {
        self.outbox.withdraw(topic);
    }

    /// The application has durably stored everything up to this delivery. A word about an older session is ignored.
    pub fn committed(&mut self, epoch: u64, seq: u64) {
        if epoch == self.epoch && self.state == State::Open && seq <= self.received {
            self.committed = self.committed.max(seq);
            while let Some((_, bytes)) = self.uncommitted.pop_front_if(|(delivered, _)| *delivered <= seq) {
                self.uncommitted_bytes -= bytes;
            }
        }
    }

    /// Heartbeats and silence.
    pub fn tick(&mut self, now: u64) {
        if matches!(self.state, State::Closed | State::Closing) {
            return;
        }
        let patience = self.patience();
        if now >= self.last_heard.saturating_add(patience) {
            let reason = format!("nothing was heard for {} s", patience / 1000);
            self.refuse(ByeCode::Timeout, &reason, 0);
        } else if self.state == State::Open && now >= self.last_ping.saturating_add(self.config.heartbeat_ms)
        {
            self.last_ping = now;
            self.send_control(Control::Ping(Ping { nonce: now }));
        }
    }

    /// When [`Session::tick`] has something to do next.
    pub fn next_deadline(&self) -> Option<u64> {
        let dead = self.last_heard.saturating_add(self.patience());
        match self.state {
            State::Closed | State::Closing => None,
            State::Open => Some(dead.min(self.last_ping.saturating_add(self.config.heartbeat_ms))),
            _ => Some(dead),
        }
    }

    /// The next thing to do, or `None` when all is done for now.
    pub fn poll(&mut self) -> Option<Output> {
        if self.output.is_empty() && self.state == State::Open {
            self.fill();
        }
        self.output.pop_front()
    }

    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Number of the session; 0 while there is none.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Items of sorts that this build does not know, since the start.
    pub fn unknown_items(&self) -> u64 {
        self.unknown_items
    }

    fn patience(&self) -> u64 {
        match self.state {
            State::AwaitingHello => self.config.hello_within_ms,
            _ => self.config.dead_after_ms,
        }
    }

    fn close(&mut self, code: ByeCode, reason: &str, retry_after_ms: u64) {
        self.state = State::Closing;
        self.output.push_back(Output::Close {
            code,
            reason: reason.to_owned(),
            retry_after_ms,
        });
    }

    fn frame(&self) -> Frame {
        Frame {
            epoch: self.epoch,
            ack: self.committed,
            ..Frame::default()
        }
    }
}
