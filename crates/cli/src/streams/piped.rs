//! An exec or a port-forward: its [`Pipe`] over one socket after another.

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Result, anyhow};
use c7n_stream::{End, EndCode, Frame, Part, Peer, Pipe, Seated, Ticket};
use tokio::time::{Instant, sleep, timeout};

use super::breaks::{Breaks, given_up, pause, unless_due};
use super::socket::{Socket, is_final, is_refused_ticket, misunderstood};
use crate::client::Client;

/// How long the other side may take to say goodbye after the last part.
const GOODBYE: Duration = Duration::from_secs(2);

pub enum Heard {
    /// To be written to where it belongs, and then [`Piped::consumed`].
    Part(Part),
    /// More can be offered again.
    Room,
    /// The way has been broken for a while; it is tried again.
    Away(String),
    Back,
    End(End),
}

pub struct Piped {
    client: Client,
    pipe: Pipe,
    way: Way,
    /// For the next seat. Empty: there is none.
    resume: bytes::Bytes,
    patience: Duration,
    /// Before the other end has come once, the platform drops what is said, and nobody would know.
    met: bool,
    present: bool,
    breaks: Breaks,
}

type Dialing = Pin<Box<dyn Future<Output = Result<(Socket, Seated)>> + Send>>;

enum Way {
    Up(Box<Socket>),
    Down {
        attempt: u32,
        since: Instant,
        dialing: Dialing,
    },
}

impl Piped {
    pub async fn open(client: &Client, ticket: &str) -> Result<Self> {
        let (socket, seated) = Socket::dial(client, ticket).await?;
        let mut breaks = Breaks::default();
        breaks.set(true, Instant::now());
        Ok(Self {
            client: client.clone(),
            pipe: Pipe::new(),
            way: Way::Up(Box::new(socket)),
            patience: Duration::from_millis(seated.patience_ms.into()),
            resume: seated.resume,
            met: false,
            present: false,
            breaks,
        })
    }

    /// May more bytes be offered?
    pub fn has_room(&self) -> bool {
        self.pipe.has_room()
    }

    pub fn offer(&mut self, part: Part) {
        self.pipe.offer(part);
    }

    pub fn consumed(&mut self) {
        self.pipe.consumed();
    }

    /// The person knows that the way is broken.
    pub fn is_away(&self) -> bool {
        self.breaks.is_told()
    }

    /// Says what was offered, dials again after a break, and returns what happens. May be dropped and called again; what was
    /// offered in between goes out with the next call.
    pub async fn hear(&mut self) -> Result<Heard> {
        let was_full = !self.has_room();
        loop {
            let broken = !(matches!(self.way, Way::Up(_)) && self.present);
            if self.breaks.set(broken, Instant::now()) {
                return Ok(Heard::Back);
            }
            let Some(frame) = unless_due(self.breaks.due(), self.step()).await else {
                self.breaks.was_told();
                return Ok(Heard::Away(self.what_is_wrong()));
            };
            if let Some(frame) = frame?
                && let Some(heard) = self.take(frame)?
            {
                return Ok(heard);
            }
            if was_full && self.has_room() {
                return Ok(Heard::Room);
            }
        }
    }

    /// The last part has come: waits a moment for the other side's goodbye.
    pub async fn finish(mut self) {
        let goodbye = async {
            loop {
                match self.hear().await {
                    Ok(Heard::End(_)) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        };
        let _ = timeout(GOODBYE, goodbye).await;
        self.close(None).await;
    }

    /// This end goes, whatever is under way.
    pub async fn leave(self) {
        self.close(Some(Frame::End(End::new(EndCode::Left, "")))).await;
    }

    async fn close(self, last: Option<Frame>) {
        if let Way::Up(socket) = self.way {
            socket.close(last).await;
        }
    }

    /// A frame, or `None` when the way has changed.
    async fn step(&mut self) -> Result<Option<Frame>> {
        let Self { way, pipe, met, .. } = self;
        match way {
            Way::Up(socket) => match socket.exchange(|| if *met { pipe.poll() } else { None }).await {
                Ok(frame) => return Ok(Some(frame)),
                Err(error) if is_final(&error) || self.resume.is_empty() => return Err(error),
                Err(_) => self.way = self.down(0, Instant::now())?,
            },
            Way::Down {
                attempt,
                since,
                dialing,
            } => match dialing.await {
                Ok((socket, seated)) => {
                    self.resume = seated.resume;
                    self.way = Way::Up(Box::new(socket));
                    self.pipe.rejoined();
                }
                Err(error) if is_refused_ticket(&error) => {
                    return Err(forgotten(since.elapsed(), self.patience));
                }
                Err(error) if is_final(&error) => {
                    return Err(error.context("the connection was lost, and what went on with it"));
                }
                // The attempt that fails after the time is the last: none that may succeed is left out.
                Err(error) if since.elapsed() >= self.patience => {
                    let what = format!(
                        "it is over: the connection was lost and could not be made again within {} s",
                        seconds(self.patience)
                    );
                    let next = "run the command again when the server can be reached";
                    return Err(given_up(&what, &error, next));
                }
                Err(_) => {
                    let (attempt, since) = (*attempt + 1, *since);
                    self.way = self.down(attempt, since)?;
                }
            },
        }
        Ok(None)
    }

    fn down(&self, attempt: u32, since: Instant) -> Result<Way> {
        let ticket = Ticket::from_slice(&self.resume)
            .map_err(|_| misunderstood())?
            .reveal();
        let client = self.client.clone();
        Ok(Way::Down {
            attempt,
            since,
            dialing: Box::pin(async move {
                sleep(pause(attempt)).await;
                Socket::dial(&client, &ticket).await
            }),
        })
    }

    fn take(&mut self, frame: Frame) -> Result<Option<Heard>> {
        match frame {
            Frame::End(end) => return Ok(Some(Heard::End(end))),
            Frame::Peer(Peer { present }) => self.meets(present),
            Frame::Seated(seated) => self.resume = seated.resume,
            Frame::LogSource(_) | Frame::LogBytes(_) | Frame::LogNotice(_) => return Err(misunderstood()),
            frame @ (Frame::Resume(_) | Frame::Ack(_) | Frame::Piece(_)) => {
                self.meets(true);
                let part = self
                    .pipe
                    .receive(frame)
                    .map_err(|error| misunderstood().context(error))?;
                return Ok(part.map(Heard::Part));
            }
        }
        Ok(None)
    }

    fn meets(&mut self, present: bool) {
        self.present = present;
        self.met |= present;
    }

    fn what_is_wrong(&self) -> String {
        match (&self.way, self.met) {
            (Way::Down { .. }, _) => format!(
                "the connection is lost; trying again for {} s",
                seconds(self.patience)
            ),
            (Way::Up(_), true) => "the cluster's agent is lost; waiting for it".to_owned(),
            (Way::Up(_), false) => "waiting for the cluster's agent".to_owned(),
        }
    }
}

/// The server can be reached again, and has no seat any more.
fn forgotten(away: Duration, patience: Duration) -> anyhow::Error {
    let why = if away >= patience {
        format!(
            "the connection was lost for {} s, and the server waits for {} s only",
            seconds(away),
            seconds(patience)
        )
    } else {
        "the connection was lost, and meanwhile the server ended this or was started anew".to_owned()
    };
    anyhow!("it is over: {why}\n  next: run the command again")
}

/// Whole ones, and no less than it is.
fn seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_too_late_is_told_how_late() {
        let told = |away, patience| {
            let second = Duration::from_secs;
            forgotten(second(away), second(patience)).to_string()
        };
        assert_eq!(
            told(75, 60),
            "it is over: the connection was lost for 75 s, and the server waits for 60 s only\n  next: run the command again"
        );
        assert!(told(59, 60).contains("meanwhile the server ended this or was started anew\n  next: "));
        assert_eq!(seconds(Duration::from_millis(1)), 1);
    }
}
