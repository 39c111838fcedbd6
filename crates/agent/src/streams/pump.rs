//! Carries a pipe between the person's end and the pod, over any number of breaks of the way to the platform.
//!
//! Reads of the API server only while the pipe has room, and tells the pipe that something is consumed only when it was
//! written to the API server: so a stalled reader stops a process, and a process that does not read stops its person.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use c7n_stream::{End, EndCode, Frame, MAX_PIECE, Part, Peer, Pipe};
use futures_util::future::BoxFuture;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::pod::{Channels, Heard, Over, PodWire};
use super::seat::{Gate, PlatformWire, Seat, SeatError, out_of_turn};
use super::wire::{Broken, Came, SILENCE, TICK, Wrote};
use super::{Ground, going_away};

/// An API server that is quiet and does not answer for so long is gone.
const POD_SILENCE: Duration = Duration::from_secs(60);
/// The API server closes after the last word; what it forgets is closed here.
const LAST_WORD: Duration = Duration::from_secs(3);
/// Who says on the person's behalf that they will not come back is the platform; this is for when that is lost.
const GRACE: Duration = Duration::from_secs(15);

/// The process or the port, once it is there.
pub struct Started {
    pub wire: PodWire,
    pub channels: Box<dyn Channels>,
    /// What was read of it already.
    pub first: Option<Bytes>,
}

pub type Starting = BoxFuture<'static, Result<Started, End>>;

enum Pod {
    Starting(Starting),
    Open(Box<Started>),
    /// What is said when everything was consumed.
    Closed(End),
}

/// The way to the platform.
enum Way {
    Open,
    Away(BoxFuture<'static, Result<Seat, SeatError>>),
}

struct Pump<'a> {
    ground: &'a Ground,
    gate: &'a Gate,
    seat: &'a mut Seat,
    way: Way,
    pipe: Pipe,
    pod: Pod,
    /// From the person, not yet given to the API server's socket.
    inward: VecDeque<Part>,
    /// Given to it, and not yet written.
    handed: usize,
    /// From the pod, waits for room in the pipe.
    outward: VecDeque<Part>,
    /// Since when the person's end is away.
    alone_since: Option<Instant>,
    /// Until when the pod may be quiet after the person has said all.
    quiet: Option<Duration>,
    quiet_until: Option<Instant>,
}

/// What happened.
enum Event {
    Stop(End),
    Platform(Result<Came, Broken>),
    PlatformWrote(Result<Wrote, Broken>),
    Back(Result<Box<Seat>, SeatError>),
    Started(Result<Started, End>),
    Pod(Result<Came, Broken>),
    PodWrote(Result<Wrote, Broken>),
    Tick,
    Quiet,
}

/// Runs until it is over, and tells what to say; `None` when the other side has said it. `quiet`: a pod that cannot be told
/// that the person has said all is given up when nothing came of it for so long.
pub async fn run(
    ground: &Ground,
    gate: &Gate,
    seat: &mut Seat,
    starting: Starting,
    quiet: Option<Duration>,
) -> Option<End> {
    let mut pump = Pump {
        ground,
        gate,
        seat,
        way: Way::Open,
        pipe: Pipe::new(),
        pod: Pod::Starting(starting),
        inward: VecDeque::new(),
        handed: 0,
        outward: VecDeque::new(),
        alone_since: None,
        quiet,
        quiet_until: None,
    };
    let end = pump.run().await;
    if let Pod::Open(started) = std::mem::replace(&mut pump.pod, Pod::Closed(going_away())) {
        started.wire.close().await;
    }
    end
}

impl Pump<'_> {
    async fn run(&mut self) -> Option<End> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await;
        let ground = self.ground;
        let mut right_lost = Box::pin(ground.right_lost());
        loop {
            if let Err(end) = self.carry() {
                return Some(end);
            }
            if let Pod::Closed(end) = &self.pod
                && self.outward.is_empty()
                && self.pipe.is_settled()
            {
                return Some(end.clone());
            }
            let event = tokio::select! {
                () = ground.shutdown.cancelled() => Event::Stop(going_away()),
                end = &mut right_lost => Event::Stop(end),
                event = platform(&mut self.way, &mut self.seat.wire) => event,
                event = pod(&mut self.pod, self.outward.is_empty()) => event,
                _ = tick.tick() => Event::Tick,
                () = sleep_until(self.quiet_until.unwrap_or_else(Instant::now)), if self.quiet_until.is_some() => Event::Quiet,
            };
            match self.take(event) {
                Ok(()) => {}
                Err(end) => return end,
            }
        }
    }

    /// Moves what can be moved without waiting.
    fn carry(&mut self) -> Result<(), End> {
        while self.pipe.has_room()
            && let Some(part) = self.outward.pop_front()
        {
            self.pipe.offer(part);
        }
        match &mut self.pod {
            Pod::Open(started) => {
                while started.wire.writer.has_room()
                    && let Some(part) = self.inward.pop_front()
                {
                    self.handed += 1;
                    if part == Part::InputEnd {
                        self.quiet_until = self.quiet.map(|quiet| Instant::now() + quiet);
                    }
                    match started.channels.say(&part) {
                        Ok(Some(bytes)) => started.wire.writer.send(bytes),
                        Ok(None) => started.wire.writer.sign(),
                        Err(what) => return Err(out_of_turn(what)),
                    }
                }
            }
            // Nobody is there any more to take it.
            Pod::Closed(_) => {
                for _ in 0..self.handed + self.inward.len() {
                    self.pipe.consumed();
                }
                self.handed = 0;
                self.inward.clear();
            }
            Pod::Starting(_) => {}
        }
        if matches!(self.way, Way::Open) {
            while self.seat.wire.writer.has_room()
                && let Some(frame) = self.pipe.poll()
            {
                self.seat.wire.writer.send(frame.encode());
            }
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<(), Option<End>> {
        match event {
            Event::Stop(end) => return Err(Some(end)),
            Event::Platform(Ok(Came::Bytes(bytes))) => return self.hear(bytes),
            Event::Platform(Ok(Came::Sign)) => self.seat.wire.writer.sign(),
            Event::Platform(Err(broken)) | Event::PlatformWrote(Err(broken)) => return self.lost(&broken),
            Event::PlatformWrote(Ok(_)) => {}
            Event::Back(Ok(seat)) => {
                *self.seat = *seat;
                self.way = Way::Open;
                self.alone_since = None;
                self.pipe.rejoined();
            }
            Event::Back(Err(cause)) => {
                tracing::info!(%cause, "a stream lost its way to the platform and is given up");
                return Err(None);
            }
            Event::Started(Ok(mut started)) => {
                let first = started.first.take();
                self.pod = Pod::Open(Box::new(started));
                if let Some(first) = first {
                    self.pod_said(first);
                }
            }
            Event::Started(Err(end)) => return Err(Some(end)),
            Event::Pod(Ok(Came::Bytes(bytes))) => self.pod_said(bytes),
            Event::Pod(Ok(Came::Sign)) => {
                if let Pod::Open(started) = &mut self.pod {
                    started.wire.writer.sign();
                }
            }
            Event::Pod(Err(broken)) | Event::PodWrote(Err(broken)) => return self.pod_over(&broken.0),
            Event::PodWrote(Ok(Wrote::Something)) => {}
            Event::PodWrote(Ok(Wrote::Everything)) => {
                for _ in 0..std::mem::take(&mut self.handed) {
                    self.pipe.consumed();
                }
            }
            Event::Quiet => {
                if self.is_held_up() {
                    self.quiet_until = self.quiet.map(|quiet| Instant::now() + quiet);
                    return Ok(());
                }
                self.quiet_until = None;
                return self.pod_over("its person has said all, and nothing more came");
            }
            Event::Tick => return self.tick(),
        }
        Ok(())
    }

    fn hear(&mut self, bytes: Bytes) -> Result<(), Option<End>> {
        let frame = Frame::decode(bytes).map_err(|error| Some(out_of_turn(&error.to_string())))?;
        match frame {
            Frame::End(_) => return Err(None),
            Frame::Peer(Peer { present }) => {
                self.alone_since = (!present).then(Instant::now);
            }
            Frame::Resume(_) | Frame::Ack(_) | Frame::Piece(_) => {
                let part = self
                    .pipe
                    .receive(frame)
                    .map_err(|error| Some(out_of_turn(&error.to_string())))?;
                self.inward.extend(part);
            }
            Frame::Seated(_) | Frame::LogSource(_) | Frame::LogBytes(_) | Frame::LogNotice(_) => {
                return Err(Some(out_of_turn("a frame of another sort of stream")));
            }
        }
        Ok(())
    }

    fn lost(&mut self, broken: &Broken) -> Result<(), Option<End>> {
        let Some(ticket) = self.seat.resume.take() else {
            return Err(None);
        };
        tracing::debug!(
            cause = broken.0,
            "a stream lost its way to the platform; it is taken again"
        );
        let (gate, deadline) = (self.gate.clone(), Instant::now() + self.seat.patience);
        self.way = Way::Away(Box::pin(async move { gate.take_until(ticket, deadline).await }));
        Ok(())
    }

    fn pod_said(&mut self, bytes: Bytes) {
        let Pod::Open(started) = &mut self.pod else {
            return;
        };
        let heard = started.channels.hear(bytes);
        if started.channels.has_ended() {
            self.quiet_until = Some(Instant::now() + LAST_WORD);
        } else if self.quiet_until.is_some() {
            self.quiet_until = self.quiet.map(|quiet| Instant::now() + quiet);
        }
        let (mut rest, part): (Bytes, fn(Bytes) -> Part) = match heard {
            Heard::Nothing => return,
            Heard::Output(bytes) => (bytes, Part::Output),
            Heard::ErrorOutput(bytes) => (bytes, Part::ErrorOutput),
        };
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(MAX_PIECE));
            self.outward.push_back(part(piece));
        }
    }

    /// It is known why nothing comes of the pod: nothing is read of it, or it does not take what was said before.
    fn is_held_up(&self) -> bool {
        match &self.pod {
            Pod::Open(started) => {
                !started.channels.has_ended() && (!self.outward.is_empty() || started.wire.writer.is_dirty())
            }
            Pod::Starting(_) | Pod::Closed(_) => false,
        }
    }

    fn pod_over(&mut self, why: &str) -> Result<(), Option<End>> {
        let Pod::Open(started) = &mut self.pod else {
            return Ok(());
        };
        let last = match started.channels.over(why) {
            Over::Trouble(end) => return Err(Some(end)),
            Over::Finished(finished) => Part::Finished(finished),
            Over::OutputEnd => Part::OutputEnd,
        };
        self.outward.push_back(last);
        self.quiet_until = None;
        self.pod = Pod::Closed(End::new(EndCode::Completed, ""));
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Option<End>> {
        if self
            .alone_since
            .is_some_and(|since| since.elapsed() >= self.seat.patience + GRACE)
        {
            return Err(Some(End::new(
                EndCode::PeerLost,
                "the person's end did not come back; open it again",
            )));
        }
        if let Pod::Open(started) = &mut self.pod {
            // While nothing is read of it, or something is being written to it, it has an excuse.
            if !self.outward.is_empty() || started.wire.writer.is_dirty() {
                started.wire.reader.excuse();
            }
            if let Err(broken) = started.wire.tick(POD_SILENCE) {
                return self.pod_over(&broken.0);
            }
        }
        if matches!(self.way, Way::Open)
            && let Err(broken) = self.seat.wire.tick(SILENCE)
        {
            return self.lost(&broken);
        }
        Ok(())
    }
}

/// What happens next between here and the platform.
async fn platform(way: &mut Way, wire: &mut PlatformWire) -> Event {
    match way {
        Way::Open => tokio::select! {
            came = wire.reader.next() => Event::Platform(came),
            wrote = wire.writer.progress(), if wire.writer.is_dirty() => Event::PlatformWrote(wrote),
        },
        Way::Away(back) => Event::Back(back.as_mut().await.map(Box::new)),
    }
}

/// What happens next between here and the pod.
async fn pod(pod: &mut Pod, has_room: bool) -> Event {
    match pod {
        Pod::Starting(starting) => Event::Started(starting.as_mut().await),
        Pod::Open(started) => tokio::select! {
            came = started.wire.reader.next(), if has_room => Event::Pod(came),
            wrote = started.wire.writer.progress(), if started.wire.writer.is_dirty() => Event::PodWrote(wrote),
            // Nothing to do until there is room.
            else => std::future::pending().await,
        },
        Pod::Closed(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
