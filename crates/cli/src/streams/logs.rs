//! Logs that go on after a break where they were: whoever has the newest position of each container asks for what follows.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use c7n_api::{LogFrom, NewStream, ReadLogs};
use c7n_stream::{EndCode, Frame, LogBytes, LogPosition, LogSource, LogSourceState, Peer, Seated};
use tokio::time::{Instant, sleep};

use super::breaks::{Breaks, given_up, pause, unless_due};
use super::socket::{Socket, is_final, is_refused_ticket, misunderstood};
use super::{Ended, Place};
use crate::client::Refused;
use crate::output::now_ms;

/// How long a log that is read to its end is tried again, and one that is followed.
const PATIENCE: Duration = Duration::from_secs(60);
const FOLLOWING: Duration = Duration::from_secs(600);
/// A stream that lasted so long has shown what `--tail` asked for, and that the way holds.
const SETTLED: Duration = Duration::from_secs(5);

pub enum Line {
    /// A container, by the number that [`Logs::source`] knows.
    Bytes(usize, Bytes),
    /// No more comes of it for now: a line that is not whole stays so.
    Ended(usize),
    /// For the person.
    Word(String),
    End,
}

/// A container whose log is read. It keeps its number over breaks.
pub struct Source {
    pub pod: String,
    pub container: String,
    uid: String,
    position: Option<LogPosition>,
    word: String,
}

pub struct Logs {
    place: Place,
    wish: ReadLogs,
    way: Way,
    sources: Vec<Source>,
    /// The numbers of this socket's sources.
    numbers: HashMap<u32, usize>,
    opened: Instant,
    opened_ms: i64,
    /// This socket was made.
    up_since: Instant,
    /// Attempts since something came, since when, and how long they go on.
    attempt: u32,
    broken_since: Instant,
    patience: Duration,
    breaks: Breaks,
    /// The agent was there once.
    met: bool,
    failed: bool,
}

type Dialing = Pin<Box<dyn Future<Output = Result<(Socket, Seated)>>>>;

enum Way {
    Up(Box<Socket>),
    Down(Dialing),
}

impl Logs {
    pub async fn open(place: Place, wish: ReadLogs) -> Result<Self> {
        let patience = if wish.follow { FOLLOWING } else { PATIENCE };
        Self::open_for(place, wish, patience).await
    }

    /// A break may last so long.
    async fn open_for(place: Place, wish: ReadLogs, patience: Duration) -> Result<Self> {
        let (socket, _) = dial(&place, wish.clone()).await?;
        let now = Instant::now();
        Ok(Self {
            place,
            wish,
            way: Way::Up(Box::new(socket)),
            sources: Vec::new(),
            numbers: HashMap::new(),
            opened: now,
            opened_ms: now_ms(),
            up_since: now,
            attempt: 0,
            broken_since: now,
            patience,
            breaks: Breaks::default(),
            met: false,
            failed: false,
        })
    }

    pub fn source(&self, number: usize) -> Option<&Source> {
        self.sources.get(number)
    }

    /// Some container's log could not be read.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// While nothing is read because nobody takes what was read.
    pub async fn show_life(&mut self) {
        if let Way::Up(socket) = &mut self.way {
            // A break is found when reading goes on.
            let _ = socket.show_life().await;
            socket.listens_again();
        }
    }

    /// May be dropped and called again.
    pub async fn next(&mut self) -> Result<Line> {
        loop {
            if self.breaks.set(matches!(self.way, Way::Down(_)), Instant::now()) {
                return Ok(Line::Word("the logs go on".to_owned()));
            }
            let Some(frame) = unless_due(self.breaks.due(), self.step()).await else {
                self.breaks.was_told();
                let word = format!("the connection is lost; trying again for {}", span(self.patience));
                return Ok(Line::Word(word));
            };
            if let Some(frame) = frame?
                && let Some(line) = self.take(frame)?
            {
                return Ok(line);
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Frame>> {
        match &mut self.way {
            Way::Up(socket) => match socket.exchange(|| None).await {
                Ok(frame) => return Ok(Some(frame)),
                Err(error) => self.broke(error)?,
            },
            Way::Down(dialing) => match dialing.await {
                Ok((socket, _)) => {
                    self.numbers.clear();
                    self.up_since = Instant::now();
                    self.way = Way::Up(Box::new(socket));
                }
                Err(error) => self.broke(error)?,
            },
        }
        Ok(None)
    }

    /// Dials again, unless the error says that it makes no sense or it was tried long enough.
    fn broke(&mut self, error: anyhow::Error) -> Result<()> {
        let now = Instant::now();
        // Also a log in which nothing was said for long has gone on: this break is a new one.
        if matches!(self.way, Way::Up(_)) && now >= self.up_since + SETTLED {
            self.attempt = 0;
        }
        if self.attempt == 0 {
            self.broken_since = now;
        }
        if is_final(&error) && !(self.met && passes(&error)) {
            return Err(error);
        }
        // The attempt that fails after the time is the last: none that may succeed is left out.
        if self.attempt > 0 && now >= self.broken_since + self.patience {
            let what = format!(
                "the log broke off and could not be gone on with for {}",
                span(self.patience)
            );
            let next = "run the command again; `--since` shows what came meanwhile";
            return Err(given_up(&what, &error, next));
        }
        let (place, wish, pause) = (self.place.clone(), self.again(), pause(self.attempt));
        self.attempt += 1;
        self.way = Way::Down(Box::pin(async move {
            sleep(pause).await;
            dial(&place, wish).await
        }));
        Ok(())
    }

    /// What is wished after a break.
    fn again(&self) -> ReadLogs {
        let from: Vec<LogFrom> = self.sources.iter().filter_map(Source::from).collect();
        if from.is_empty() && self.opened.elapsed() < SETTLED {
            return self.wish.clone();
        }
        let since_ms = match self.wish.tail {
            // Of containers that had said nothing only what is new.
            Some(_) => Some(self.wish.since_ms.unwrap_or(i64::MIN).max(self.opened_ms)),
            None => self.wish.since_ms,
        };
        ReadLogs {
            from,
            tail: None,
            since_ms,
            ..self.wish.clone()
        }
    }

    fn take(&mut self, frame: Frame) -> Result<Option<Line>> {
        match frame {
            Frame::LogBytes(LogBytes { source, end, bytes }) => {
                let number = *self.numbers.get(&source).ok_or_else(misunderstood)?;
                self.sources[number].position = Some(end);
                self.attempt = 0;
                Ok(Some(Line::Bytes(number, bytes)))
            }
            Frame::LogSource(source) => Ok(self.meet(source)),
            Frame::LogNotice(notice) => Ok(Some(Line::Word(notice.text))),
            Frame::End(end) => match EndCode::try_from(end.code) {
                Ok(EndCode::Completed) => Ok(Some(Line::End)),
                _ => {
                    self.broke(Ended(end).into())?;
                    Ok(None)
                }
            },
            Frame::Peer(Peer { present }) => {
                self.met |= present;
                Ok(None)
            }
            Frame::Seated(_) => Ok(None),
            Frame::Resume(_) | Frame::Ack(_) | Frame::Piece(_) => Err(misunderstood()),
        }
    }

    fn meet(&mut self, met: LogSource) -> Option<Line> {
        self.met = true;
        let known = self
            .sources
            .iter()
            .position(|source| source.uid == met.pod_uid && source.container == met.container);
        let number = known.unwrap_or(self.sources.len());
        if known.is_none() {
            self.sources.push(Source {
                pod: met.pod.clone(),
                container: met.container.clone(),
                uid: met.pod_uid.clone(),
                position: None,
                word: String::new(),
            });
        }
        self.numbers.insert(met.source, number);
        let state = met.state();
        self.failed |= state == LogSourceState::Failed;
        match state {
            LogSourceState::Open => {
                self.attempt = 0;
                None
            }
            LogSourceState::Ended => Some(Line::Ended(number)),
            LogSourceState::Waiting | LogSourceState::Failed => {
                let word = format!("{}/{}: {}", met.pod, met.container, met.message);
                let source = &mut self.sources[number];
                (source.word != word).then(|| {
                    source.word.clone_from(&word);
                    Line::Word(word)
                })
            }
            LogSourceState::Unspecified => None,
        }
    }

    pub async fn leave(self) {
        if let Way::Up(socket) = self.way {
            socket
                .close(Some(Frame::End(c7n_stream::End::new(EndCode::Left, ""))))
                .await;
        }
    }
}

impl Source {
    fn from(&self) -> Option<LogFrom> {
        let LogPosition { time_ns, nth, offset } = self.position?;
        Some(LogFrom {
            pod_uid: self.uid.clone(),
            container: self.container.clone(),
            time_ns,
            nth,
            offset,
        })
    }
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 120 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

async fn dial(place: &Place, wish: ReadLogs) -> Result<(Socket, Seated)> {
    let ticket = place.open(&NewStream::Logs(wish)).await?;
    match Socket::dial(&place.client, &ticket).await {
        // A new one is asked for with the next attempt.
        Err(error) if is_refused_ticket(&error) => bail!("{error:#}"),
        outcome => outcome,
    }
}

/// What ends one stream, and need not end the next: the log is still where it was.
fn passes(error: &anyhow::Error) -> bool {
    if let Some(Refused(problem)) = error.downcast_ref() {
        return problem.code == "cluster-away";
    }
    match error.downcast_ref::<Ended>().map(Ended::code) {
        Some(code) => matches!(
            code,
            // The reader had stalled, and reads again: else this word would not have been read.
            EndCode::Idle | EndCode::ClusterAway | EndCode::PeerLost | EndCode::GoingAway | EndCode::Busy
        ),
        None => false,
    }
}

#[cfg(test)]
mod tests;
