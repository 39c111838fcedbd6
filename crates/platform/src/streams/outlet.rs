//! Where frames for one end go.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::ws::Message;
use bytes::Bytes;
use c7n_stream::{Frame, Peer};
use futures_util::{Sink, SinkExt};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Nothing more can be said there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// It broke, or another has its place.
    Gone,
    /// It took nothing for as long as it may.
    Stalled,
}

/// Where it goes has ended.
#[derive(Debug, Clone, Copy)]
struct Broken;

type Words = Pin<Box<dyn Sink<Message, Error = Broken> + Send>>;

/// One that broke is not asked again, but by those who have not heard of it: `sink_map_err` panics at them.
struct Breakable<S>(Option<Pin<Box<S>>>);

impl<S: Sink<Message>> Breakable<S> {
    fn step(
        &mut self,
        step: impl FnOnce(Pin<&mut S>) -> Poll<Result<(), S::Error>>,
    ) -> Poll<Result<(), Broken>> {
        let Some(sink) = &mut self.0 else {
            return Poll::Ready(Err(Broken));
        };
        let stepped = step(sink.as_mut()).map_err(|_| Broken);
        if matches!(stepped, Poll::Ready(Err(Broken))) {
            self.0 = None;
        }
        stepped
    }
}

impl<S: Sink<Message>> Sink<Message> for Breakable<S> {
    type Error = Broken;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.step(|sink| sink.poll_ready(context))
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Broken> {
        match self.step(|sink| Poll::Ready(sink.start_send(message))) {
            Poll::Ready(sent) => sent,
            Poll::Pending => Err(Broken),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.step(|sink| sink.poll_flush(context))
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.step(|sink| sink.poll_close(context))
    }
}

/// One who sits on a seat. Both tasks of a stream write to it: the other end's with what it relays, its own with the rest.
pub struct Occupant {
    outlet: Arc<Mutex<Words>>,
    /// Its socket is no more, or another has its place.
    pub gone: CancellationToken,
    /// Whether the other seat is taken must be said.
    peer_due: AtomicBool,
    pub peer_changed: Notify,
    /// A write waits for the socket at this moment.
    blocked: AtomicBool,
    /// Bytes that were handed over, and how many of them it has certainly read: each ping says the count, each pong says it back.
    written: AtomicU64,
    read: AtomicU64,
}

impl Occupant {
    pub fn new(sink: impl Sink<Message> + Send + 'static) -> Self {
        let words: Words = Box::pin(Breakable(Some(Box::pin(sink))));
        Self {
            outlet: Arc::new(Mutex::new(words)),
            gone: CancellationToken::new(),
            peer_due: AtomicBool::new(false),
            peer_changed: Notify::new(),
            blocked: AtomicBool::new(false),
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
        }
    }

    pub fn tell_of_peer(&self) {
        self.peer_due.store(true, Ordering::Release);
        self.peer_changed.notify_one();
    }

    /// What to say of the other seat, if that is due.
    pub fn peer_frame(&self, present: impl FnOnce() -> Option<bool>) -> Option<Bytes> {
        if !self.peer_due.swap(false, Ordering::AcqRel) {
            return None;
        }
        present().map(|present| Frame::Peer(Peer { present }).encode())
    }

    /// It has read everything up to what this pong says.
    pub fn heard_pong(&self, payload: &[u8]) {
        if let Ok(count) = payload.try_into().map(u64::from_be_bytes)
            && count <= self.written.load(Ordering::Acquire)
        {
            self.read.fetch_max(count, Ordering::AcqRel);
        }
    }

    /// Something is still under way to it, so that it may not have seen the last ping.
    pub fn is_behind(&self) -> bool {
        self.blocked.load(Ordering::Acquire)
            || self.read.load(Ordering::Acquire) < self.written.load(Ordering::Acquire)
    }

    /// Closes a socket whose place is no longer here, if it listens.
    pub async fn last_word(&self, limit: Duration) {
        let close = async { self.outlet.lock().await.send(Message::Close(None)).await };
        let _ = timeout(limit, close).await;
    }

    /// Waits for its turn to write.
    pub async fn open(self: &Arc<Self>) -> Result<Outlet, Shut> {
        tokio::select! {
            sink = Arc::clone(&self.outlet).lock_owned() => Ok(Outlet { occupant: Arc::clone(self), sink }),
            () = self.gone.cancelled() => Err(Shut::Gone),
        }
    }
}

/// The right to write, held for a batch of frames.
pub struct Outlet {
    occupant: Arc<Occupant>,
    sink: OwnedMutexGuard<Words>,
}

impl Outlet {
    pub fn occupant(&self) -> &Arc<Occupant> {
        &self.occupant
    }

    /// Hands a frame over; it may wait in a buffer for [`Outlet::flush`].
    pub async fn feed(&mut self, frame: Bytes, limit: Duration) -> Result<(), Shut> {
        let length = frame.len() as u64;
        let fed = self.sink.feed(Message::Binary(frame));
        waited(&self.occupant, fed, limit).await?;
        self.occupant.written.fetch_add(length, Ordering::AcqRel);
        Ok(())
    }

    pub async fn flush(&mut self, limit: Duration) -> Result<(), Shut> {
        let flushed = self.sink.flush();
        waited(&self.occupant, flushed, limit).await
    }

    pub async fn ping(&mut self, limit: Duration) -> Result<(), Shut> {
        let count = self.occupant.written.load(Ordering::Acquire).to_be_bytes();
        let ping = self.sink.send(Message::Ping(Bytes::copy_from_slice(&count)));
        waited(&self.occupant, ping, limit).await
    }

    pub async fn close(&mut self, limit: Duration) -> Result<(), Shut> {
        let close = self.sink.send(Message::Close(None));
        match timeout(limit, close).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Shut::Gone),
            Err(_) => Err(Shut::Stalled),
        }
    }
}

async fn waited(
    occupant: &Occupant,
    write: impl Future<Output = Result<(), Broken>>,
    limit: Duration,
) -> Result<(), Shut> {
    let _mark = Blocked::mark(&occupant.blocked);
    tokio::select! {
        biased;
        done = timeout(limit, write) => match done {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Shut::Gone),
            Err(_) => Err(Shut::Stalled),
        },
        () = occupant.gone.cancelled() => Err(Shut::Gone),
    }
}

/// Taken back however the write ends.
struct Blocked<'a>(&'a AtomicBool);

impl<'a> Blocked<'a> {
    fn mark(flag: &'a AtomicBool) -> Self {
        flag.store(true, Ordering::Release);
        Self(flag)
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio_util::sync::PollSender;

    use super::*;

    #[tokio::test]
    async fn a_socket_that_broke_takes_no_more_from_anybody() {
        const LIMIT: Duration = Duration::from_secs(5);
        let (sender, receiver) = mpsc::channel(1);
        drop(receiver);
        let occupant = Arc::new(Occupant::new(PollSender::new(sender)));
        let mut relayed = occupant.open().await.unwrap();
        assert_eq!(
            relayed.feed(Bytes::from_static(b"x"), LIMIT).await,
            Err(Shut::Gone)
        );
        drop(relayed);
        // Its own task has not heard of it.
        let mut own = occupant.open().await.unwrap();
        assert_eq!(own.ping(LIMIT).await, Err(Shut::Gone));
        assert_eq!(own.feed(Bytes::from_static(b"x"), LIMIT).await, Err(Shut::Gone));
        assert_eq!(own.flush(LIMIT).await, Err(Shut::Gone));
        assert_eq!(own.close(LIMIT).await, Err(Shut::Gone));
        drop(own);
        occupant.last_word(LIMIT).await;
    }
}
