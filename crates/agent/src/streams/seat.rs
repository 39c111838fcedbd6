//! The agent's seat of a stream: the socket to the platform, and how it is taken again after a break.

use std::time::Duration;

use c7n_link::Backoff;
use c7n_stream::{End, EndCode, Frame, Ticket};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_tungstenite::MaybeTlsStream;

use super::wire::{Broken, Wire};
use crate::config::Token;
use crate::session::{DialError, Door};

/// The platform waits for the agent so long after it asked for it.
const FIRST: Duration = Duration::from_secs(15);
/// From the open socket to the word that this end is seated.
const SEATED: Duration = Duration::from_secs(10);
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// A platform that says otherwise is not believed beyond this.
const LONGEST_PATIENCE: Duration = Duration::from_secs(600);

pub type PlatformWire = Wire<MaybeTlsStream<TcpStream>>;

pub struct Seat {
    pub wire: PlatformWire,
    /// The right to come back; none for a log.
    pub resume: Option<Ticket>,
    pub patience: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum SeatError {
    #[error("the agent has no credential yet")]
    NoCredential,
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the platform broke off: {0}")]
    Broken(String),
    #[error("the platform did not let the agent in in time")]
    Late,
}

impl SeatError {
    /// To come again with the same ticket is of no use.
    fn is_final(&self) -> bool {
        match self {
            Self::NoCredential => true,
            Self::Dial(error) => match error {
                DialError::TokenRefused { .. } | DialError::BadUrl { .. } | DialError::CaFile { .. } => true,
                DialError::Refused { status, .. } => (400..500).contains(status) && *status != 429,
                _ => false,
            },
            Self::Late => true,
            // If the ticket was used, the platform says so.
            Self::Broken(_) => false,
        }
    }
}

/// Where seats are taken.
#[derive(Clone)]
pub struct Gate {
    door: Door,
    credential: watch::Receiver<Option<Token>>,
}

impl Gate {
    pub fn new(door: Door, credential: watch::Receiver<Option<Token>>) -> Self {
        Self { door, credential }
    }

    pub async fn take_first(&self, ticket: Ticket) -> Result<Seat, SeatError> {
        self.take_until(ticket, Instant::now() + FIRST).await
    }

    /// Dials until it has the seat, is refused for good, or it is too late.
    pub async fn take_until(&self, ticket: Ticket, deadline: Instant) -> Result<Seat, SeatError> {
        let mut backoff = Backoff::new(AGAIN.0, AGAIN.1);
        loop {
            let error = match timeout_at(deadline, self.take(&ticket)).await {
                Ok(Ok(seat)) => return Ok(seat),
                Ok(Err(error)) => error,
                Err(_) => return Err(SeatError::Late),
            };
            let wait = backoff.next(rand::random(), None);
            if error.is_final() || Instant::now() + wait >= deadline {
                return Err(error);
            }
            sleep(wait).await;
        }
    }

    async fn take(&self, ticket: &Ticket) -> Result<Seat, SeatError> {
        let token = self.credential.borrow().clone().ok_or(SeatError::NoCredential)?;
        let mut wire = Wire::new(self.door.take_seat(&token, ticket).await?);
        let bytes = timeout_at(Instant::now() + SEATED, wire.next())
            .await
            .map_err(|_| SeatError::Late)?
            .map_err(|Broken(why)| SeatError::Broken(why))?;
        match Frame::decode(bytes) {
            Ok(Frame::Seated(seated)) => Ok(Seat {
                wire,
                resume: Ticket::from_slice(&seated.resume).ok(),
                patience: Duration::from_millis(seated.patience_ms.into()).min(LONGEST_PATIENCE),
            }),
            Ok(Frame::End(end)) => Err(SeatError::Broken(end.message)),
            Ok(_) => Err(SeatError::Broken("it does not begin with a seat".to_owned())),
            Err(error) => Err(SeatError::Broken(error.to_string())),
        }
    }
}

impl Seat {
    /// Says why, if there is somebody to hear it, and goes.
    pub async fn leave(mut self, end: Option<End>) {
        if let Some(end) = end {
            self.wire.writer.send(Frame::End(end).encode());
        }
        self.wire.close().await;
    }
}

/// What only the platform says, or only the other end may not.
pub fn out_of_turn(what: &str) -> End {
    End::new(
        EndCode::ProtocolError,
        format!("the other end said what it may not ({what}); upgrade it, and open the stream again"),
    )
}
