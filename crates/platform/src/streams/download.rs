//! A log as the body of an answer: the platform itself is the person's end.

use std::sync::Arc;

use axum::extract::ws::Message;
use bytes::Bytes;
use c7n_api::{NewStream, ReadLogs};
use c7n_stream::{End, EndCode, Frame, LogSourceState};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

use super::joint::Joint;
use super::outlet::Occupant;
use super::state::Side;
use super::{OpenError, Opener, Streams, seat};

/// A log on its way. Dropped, it leaves.
pub struct Download {
    frames: mpsc::Receiver<Message>,
    over: bool,
}

impl Streams {
    /// Opens a log and sits down at once.
    pub async fn download(&self, who: Opener<'_>, logs: ReadLogs) -> Result<Download, OpenError> {
        let (joint, _ticket) = self.prepare(who, NewStream::Logs(logs)).await?;
        let (sender, frames) = mpsc::channel(1);
        self.inner.tasks.spawn(sit(self.clone(), joint, sender));
        Ok(Download { frames, over: false })
    }
}

/// The seat of a reader who has no socket of its own.
async fn sit(streams: Streams, joint: Arc<Joint>, sender: mpsc::Sender<Message>) {
    let own = Arc::new(Occupant::new(PollSender::new(sender.clone())));
    if seat::greet(&streams, &joint, Side::Client, &own).await.is_err() {
        joint.lost(Side::Client, &own);
        return;
    }
    tokio::select! {
        biased;
        () = joint.over.cancelled() => {}
        () = own.gone.cancelled() => joint.lost(Side::Client, &own),
        // The answer's reader has hung up.
        () = sender.closed() => joint.end(Some(Side::Client), End::new(EndCode::Left, "")),
    }
    drop(sender);
    seat::tell_end(&streams, &joint, Side::Client, &own).await;
    joint.lost(Side::Client, &own);
}

impl Download {
    /// Waits until it is certain that there is a log: bytes, or that it begins. What comes instead is the error.
    pub async fn begin(&mut self) -> Result<Option<Bytes>, End> {
        while let Some(frame) = self.frame().await {
            match frame? {
                Frame::LogBytes(log) => return Ok(Some(log.bytes)),
                Frame::LogSource(source) if source.state() == LogSourceState::Open => return Ok(None),
                other => reject(&other)?,
            }
        }
        Ok(None)
    }

    /// The next bytes; an error where it breaks off, so that nobody takes a part for the whole.
    pub async fn next(&mut self) -> Option<Result<Bytes, End>> {
        loop {
            match self.frame().await? {
                Ok(Frame::LogBytes(log)) => return Some(Ok(log.bytes)),
                Ok(other) => {
                    if let Err(end) = reject(&other) {
                        self.over = true;
                        return Some(Err(end));
                    }
                }
                Err(end) => return Some(Err(end)),
            }
        }
    }

    /// `None` once all came.
    async fn frame(&mut self) -> Option<Result<Frame, End>> {
        if self.over {
            return None;
        }
        loop {
            let broken = |message: &str| Some(Err(End::new(EndCode::Failed, message)));
            match self.frames.recv().await {
                Some(Message::Binary(bytes)) => match Frame::decode(bytes) {
                    Ok(Frame::End(end)) => {
                        self.over = true;
                        return match end.code() {
                            EndCode::Completed => None,
                            _ => Some(Err(end)),
                        };
                    }
                    Ok(frame) => return Some(Ok(frame)),
                    Err(_) => {
                        self.over = true;
                        return broken(
                            "the agent said what cannot be read; bring it to the platform's version",
                        );
                    }
                },
                Some(_) => {}
                None => {
                    self.over = true;
                    return broken("the log broke off; try again");
                }
            }
        }
    }
}

/// A log that cannot be read is no empty log.
fn reject(frame: &Frame) -> Result<(), End> {
    match frame {
        Frame::LogSource(source) if source.state() == LogSourceState::Failed => {
            let words = match source.message.as_str() {
                said if said.contains("; ") => said.to_owned(),
                said => format!("{said}; try again"),
            };
            Err(End::new(EndCode::Failed, words))
        }
        _ => Ok(()),
    }
}
