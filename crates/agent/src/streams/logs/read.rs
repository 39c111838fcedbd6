//! Reads one log of one container, once: from where it was left, until it ends or breaks.

use std::time::Duration;

use bytes::BytesMut;
use c7n_stream::{End, EndCode, Frame, LogBytes, LogCutter};
use futures_util::io::AsyncBufReadExt;
use futures_util::{AsyncBufRead, FutureExt};
use http::HeaderValue;
use http::header::ACCEPT_ENCODING;
use k8s_openapi::jiff::Timestamp;
use kube::Error;
use kube::api::LogParams;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout};

use super::instance::{Run, Which, since_second};
use super::reader::{NobodyListens, Reader};
use super::{FRAME, Said};
use crate::streams::{pod, words};

/// The kubelet answers with the first line, which may be tomorrow's: others are let on meanwhile.
const OPENING: Duration = Duration::from_secs(1);
/// A connection that is quiet for so long may be dead: it is made again, from where it was.
const QUIET: Duration = Duration::from_secs(300);

/// The kubelet writes each line by itself: those that come together go on together.
const GATHER: Duration = Duration::from_millis(5);

/// Why it ended.
pub enum Stopped {
    /// The kubelet has no more.
    End,
    /// It gave what there is, and cannot follow: what comes has to be asked for.
    Unwatched(String),
    /// There is no such log, and it is no use to try again now.
    NotThere(End),
    Broken(End),
}

pub async fn once(reader: &mut Reader, run: &Run) -> Result<Stopped, NobodyListens> {
    let what = format!(
        "the log of container {} of the pod {}",
        reader.container, reader.pod
    );
    let params = LogParams {
        container: Some(reader.container.clone()),
        follow: reader.shared.follow && run.which == Which::Present,
        previous: run.which == Which::Previous,
        since_time: since_second(run.start).and_then(|second| Timestamp::from_second(second).ok()),
        tail_lines: run.tail,
        timestamps: true,
        ..LogParams::default()
    };
    let request = match pod::request(&reader.shared.namespace).logs(&reader.pod, &params) {
        Ok(mut request) => {
            // Packing it would only cost time.
            let plain = HeaderValue::from_static("identity");
            request.headers_mut().insert(ACCEPT_ENCODING, plain);
            request
        }
        Err(error) => {
            return Ok(Stopped::NotThere(words::refused(
                &Error::BuildRequest(error),
                &what,
            )));
        }
    };
    let opening = reader.shared.opening.clone().acquire_owned().await;
    let mut opening = opening.ok();
    let client = reader.shared.client.clone();
    let mut asked = Box::pin(client.request_stream(request));
    let opened = match timeout(OPENING, &mut asked).await {
        Ok(opened) => opened,
        Err(_) => {
            if reader.shared.follow {
                opening = None;
            }
            match in_time(reader, asked).await {
                Some(opened) => opened,
                None if reader.shared.follow => return Ok(Stopped::End),
                None => return Ok(Stopped::Broken(words::late(&what))),
            }
        }
    };
    if reader.shared.follow {
        opening = None;
    }
    let body = match opened {
        Ok(body) => body,
        // A kubelet that has just started does not know its pods yet; that this one is gone is said by the watch.
        Err(error) if params.follow && matches!(&error, Error::Api(status) if status.code == 404) => {
            return Ok(Stopped::Broken(words::refused(&error, &what)));
        }
        Err(error) => return Ok(refusal(&error, &what)),
    };
    let stopped = pass_on(reader, run, Box::pin(body), &what).await;
    drop(opening);
    stopped
}

fn refusal(error: &Error, what: &str) -> Stopped {
    let end = words::refused(error, what);
    match error {
        Error::Api(status) if matches!(status.code, 400 | 401 | 403 | 404) => Stopped::NotThere(end),
        _ => Stopped::Broken(end),
    }
}

async fn pass_on(
    reader: &mut Reader,
    run: &Run,
    mut body: impl AsyncBufRead + Unpin,
    what: &str,
) -> Result<Stopped, NobodyListens> {
    let mut cutter = LogCutter::new(reader.shared.stamps, run.start);
    let mut out = BytesMut::new();
    let mut place: Option<OwnedSemaphorePermit> = None;
    let mut gathered = Box::pin(sleep(GATHER));
    loop {
        let chunk = if out.is_empty() {
            // Whoever waits has no place.
            place = None;
            let chunk = match body.fill_buf().now_or_never() {
                Some(chunk) => chunk,
                None => match in_time(reader, body.fill_buf()).await {
                    Some(chunk) => chunk,
                    None => return Ok(Stopped::End),
                },
            };
            gathered.as_mut().reset(Instant::now() + GATHER);
            Some(chunk)
        } else {
            tokio::select! {
                biased;
                chunk = body.fill_buf() => Some(chunk),
                () = gathered.as_mut() => None,
            }
        };
        let chunk = match chunk {
            Some(Ok(chunk)) => chunk,
            Some(Err(cause)) => {
                send(reader, &cutter, &mut out, place).await?;
                let words = format!("{what} broke off ({cause}); open it again");
                return Ok(Stopped::Broken(End::new(EndCode::Failed, words)));
            }
            None => {
                send(reader, &cutter, &mut out, place.take()).await?;
                continue;
            }
        };
        if chunk.is_empty() {
            let words = cutter.finish();
            send(reader, &cutter, &mut out, place).await?;
            return Ok(match words.is_empty() {
                true => Stopped::End,
                false => said_by_kubelet(&String::from_utf8_lossy(&words), what),
            });
        }
        if place.is_none() {
            place = reader.shared.frames.clone().acquire_owned().await.ok();
        }
        out.reserve(chunk.len().min(FRAME));
        let taken = cutter.push(chunk, &mut out, FRAME);
        body.consume_unpin(taken);
        if out.len() >= FRAME {
            send(reader, &cutter, &mut out, place.take()).await?;
        }
    }
}

/// Instead of the rest of the log. Its header was sent by then, so that there is no status to go by.
fn said_by_kubelet(words: &str, what: &str) -> Stopped {
    let words = words.trim();
    // In the kubelet's source: `failed to create fsnotify watcher: %v`.
    if words.contains("fsnotify") {
        return Stopped::Unwatched(format!(
            "{what} cannot be followed ({words}): what comes is fetched every few seconds; \
             a higher fs.inotify.max_user_instances on its node lets it be followed again"
        ));
    }
    // Of older kubelets, which say it with the status of a log.
    if words
        .to_lowercase()
        .starts_with("unable to retrieve container logs")
    {
        let words = format!("{what} is there no more, its kubelet says: {words}");
        return Stopped::NotThere(End::new(EndCode::NotFound, words));
    }
    let words = format!("{what} broke off, its kubelet says: {words}; open it again");
    Stopped::Broken(End::new(EndCode::Failed, words))
}

/// `None` when it was quiet for too long: sooner when the pod is gone.
async fn in_time<T>(reader: &Reader, what: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        what = timeout(QUIET, what) => what.ok(),
        () = reader.left_behind() => None,
    }
}

async fn send(
    reader: &mut Reader,
    cutter: &LogCutter,
    out: &mut BytesMut,
    place: Option<OwnedSemaphorePermit>,
) -> Result<(), NobodyListens> {
    if out.is_empty() {
        return Ok(());
    }
    let source = reader.open().await?;
    let end = cutter.position();
    let frame = Frame::LogBytes(LogBytes {
        source,
        end,
        bytes: out.split().freeze(),
    });
    reader
        .say(Said {
            frame: frame.encode(),
            _place: place,
        })
        .await?;
    reader.position = Some(end);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kubelet_says_decides_whether_it_is_asked_again() {
        let what = "the log of container app of the pod web";
        let said = |words| said_by_kubelet(words, what);
        let unwatched = said("failed to create fsnotify watcher: too many open files\n");
        assert!(
            matches!(unwatched, Stopped::Unwatched(words) if words.contains("fs.inotify.max_user_instances"))
        );
        for words in [
            "unable to retrieve container logs for containerd://0a1b",
            "Unable to retrieve container logs for docker://0a1b",
        ] {
            assert!(matches!(said(words), Stopped::NotThere(end) if end.message.contains(words)));
        }
        let broken = said("rpc error: code = Unavailable");
        assert!(matches!(broken, Stopped::Broken(end) if end.message.contains("rpc error")));
    }
}
