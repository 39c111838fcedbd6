//! One WebSocket of a stream.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use c7n_api::Problem;
use c7n_stream::{Frame, MAX_FRAME, SUBPROTOCOL, Seated, TICKET_PROTOCOL};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::Ended;
use crate::client::{Client, Refused};

/// The platform pings every 10 s; three missed ones mean that nobody is there.
const SILENCE: Duration = Duration::from_secs(30);
const DIAL: Duration = Duration::from_secs(10);
const FAREWELL: Duration = Duration::from_secs(1);

const READ_BUFFER: usize = 16 << 10;
const WRITE_BUFFER: usize = 64 << 10;

pub struct Socket {
    inner: WebSocketStream<reqwest::Upgraded>,
    heard: Instant,
    unflushed: bool,
}

impl Socket {
    /// Takes the seat of this ticket.
    pub async fn dial(client: &Client, ticket: &str) -> Result<(Self, Seated)> {
        timeout(DIAL, Self::take_seat(client, ticket))
            .await
            .context("the server did not answer in time")?
    }

    async fn take_seat(client: &Client, ticket: &str) -> Result<(Self, Seated)> {
        let protocols = [SUBPROTOCOL, &format!("{TICKET_PROTOCOL}{ticket}")];
        let upgraded = client.upgrade(&["streams"], protocols).await?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(WRITE_BUFFER + 4 * MAX_FRAME)
            .max_message_size(Some(MAX_FRAME))
            .max_frame_size(Some(MAX_FRAME));
        let mut socket = Self {
            inner: WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await,
            heard: Instant::now(),
            unflushed: false,
        };
        match socket.exchange(|| None).await? {
            Frame::Seated(seated) => Ok((socket, seated)),
            Frame::End(end) => Err(Ended(end).into()),
            _ => Err(misunderstood()),
        }
    }

    /// The next frame. Meanwhile writes what is to be said, as long as the socket takes it. May be dropped and called again.
    pub async fn exchange(&mut self, mut say: impl FnMut() -> Option<Frame>) -> Result<Frame> {
        loop {
            let deadline = self.heard + SILENCE;
            let heard = poll_fn(|cx| {
                while let Poll::Ready(ready) = self.inner.poll_ready_unpin(cx) {
                    ready?;
                    let Some(frame) = say() else { break };
                    self.inner.start_send_unpin(Message::Binary(frame.encode()))?;
                    self.unflushed = true;
                }
                if self.unflushed
                    && let Poll::Ready(flushed) = self.inner.poll_flush_unpin(cx)
                {
                    flushed?;
                    self.unflushed = false;
                }
                self.inner.poll_next_unpin(cx).map(Option::transpose)
            });
            let message = timeout_at(deadline, heard)
                .await
                .context("nothing was heard of the server for 30 s")??;
            self.heard = Instant::now();
            match message {
                Some(Message::Binary(bytes)) => {
                    return Frame::decode(bytes).map_err(|error| misunderstood().context(error));
                }
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                Some(Message::Close(_)) | None => bail!("the connection ended"),
                Some(Message::Text(_) | Message::Frame(_)) => return Err(misunderstood()),
            }
        }
    }

    /// A word of life while nothing is read, because what was read cannot be passed on.
    pub async fn show_life(&mut self) -> Result<()> {
        timeout(FAREWELL, self.inner.send(Message::Pong(bytes::Bytes::new())))
            .await
            .context("the connection takes nothing")??;
        Ok(())
    }

    /// Reading begins again: the silence before was this end's own.
    pub fn listens_again(&mut self) {
        self.heard = Instant::now();
    }

    /// The last word. Whether it arrives is no matter of ours.
    pub async fn close(mut self, last: Option<Frame>) {
        let _ = timeout(FAREWELL, async {
            if let Some(frame) = last {
                self.inner.send(Message::Binary(frame.encode())).await?;
            }
            self.inner.close(None).await
        })
        .await;
    }
}

/// It makes no sense to dial again.
pub fn is_final(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<Refused>() {
        Some(Refused(Problem { status, .. })) => *status < 500 && !matches!(status, 408 | 429),
        None => error.is::<Ended>() || error.is::<Misunderstood>(),
    }
}

/// The server does not know this ticket, or not any longer.
pub fn is_refused_ticket(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<Refused>(), Some(refused) if refused.0.code == "bad-ticket")
}

/// The other side does not keep to the protocol.
#[derive(Debug)]
pub struct Misunderstood;

impl std::fmt::Display for Misunderstood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "this version of c7n does not understand the server\n  next: `c7n version` shows both versions; use the same",
        )
    }
}

impl std::error::Error for Misunderstood {}

pub fn misunderstood() -> anyhow::Error {
    anyhow!(Misunderstood)
}
