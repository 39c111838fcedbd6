//! The log of one container over all its runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use c7n_link::Backoff;
use c7n_stream::{End, EndCode, Frame, LogNotice, LogPosition, LogSource, LogSourceState, TimeStamps};
use kube::Client;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::Said;
use super::instance::{Instance, Run, Seen, Wanted, Which, first_runs, next_runs};
use super::read::{self, Stopped};

const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// A log that cannot be had so many times in a row is given up.
const TRIES: u32 = 8;
/// The pod's status comes after the end of a container's log.
const STATUS: Duration = Duration::from_secs(3);
/// What is left of a container whose pod is gone.
const REST: Duration = Duration::from_secs(5);

/// What all readers of a stream have in common.
pub struct Shared {
    pub client: Client,
    pub namespace: String,
    pub follow: bool,
    pub wanted: Wanted,
    pub stamps: TimeStamps,
    pub said: mpsc::Sender<Said>,
    pub frames: Arc<Semaphore>,
    pub opening: Arc<Semaphore>,
    pub sources: AtomicU32,
    /// That a log cannot be followed.
    pub told: AtomicBool,
}

/// What became of a container's log.
pub enum Outcome {
    Served,
    /// It had none, for this reason.
    Nothing(End),
}

pub struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) pod: String,
    uid: String,
    pub(super) container: String,
    seen: watch::Receiver<Seen>,
    tail: Option<i64>,
    /// The newest that was handed on.
    pub(super) position: Option<LogPosition>,
    /// The number of the run that is read now, once it was announced.
    source: Option<u32>,
    served: bool,
}

/// Nobody listens any more.
pub(super) struct NobodyListens;

impl Reader {
    pub fn new(
        shared: Arc<Shared>,
        pod: &str,
        (uid, container): &(String, String),
        seen: watch::Receiver<Seen>,
        from: Option<LogPosition>,
        tail: Option<i64>,
    ) -> Self {
        Self {
            shared,
            pod: pod.to_owned(),
            uid: uid.clone(),
            container: container.clone(),
            seen,
            tail,
            position: from,
            source: None,
            served: false,
        }
    }

    pub async fn run(mut self) -> Outcome {
        // Who is gone needs no outcome.
        match self.read_all().await {
            Ok(None) | Err(NobodyListens) => Outcome::Served,
            Ok(Some(end)) if !self.served => Outcome::Nothing(end),
            Ok(Some(_)) => Outcome::Served,
        }
    }

    async fn read_all(&mut self) -> Result<Option<End>, NobodyListens> {
        let mut trouble = None;
        let mut before: Option<Instance> = None;
        loop {
            let seen = self.seen.borrow_and_update().clone();
            let newer = seen
                .instance
                .as_ref()
                .filter(|it| before.as_ref().is_none_or(|before| before.id != it.id));
            let Some(instance) = newer else {
                if before.is_none() && !seen.gone {
                    let end = self.waits(&seen.why).await?;
                    trouble = Some(end);
                }
                if !self.shared.follow || seen.gone || seen.last || self.seen.changed().await.is_err() {
                    return Ok(trouble);
                }
                continue;
            };
            let wanted = Wanted {
                tail: self.tail,
                ..self.shared.wanted
            };
            let runs = match &before {
                None => first_runs(wanted, self.position, instance),
                Some(before) => next_runs(before.number, self.position, wanted.since_ns, instance),
            };
            for run in runs {
                if run.which == Which::Present && !wanted.previous {
                    self.open().await?;
                }
                if let Some(end) = self.read_run(run, instance).await? {
                    trouble = Some(end);
                }
            }
            if !self.shared.follow {
                return Ok(trouble);
            }
            before = Some(instance.clone());
        }
    }

    /// Reads one run to its end, over any number of breaks; says what became of it.
    async fn read_run(&mut self, run: Run, instance: &Instance) -> Result<Option<End>, NobodyListens> {
        let mut backoff = Backoff::new(AGAIN.0, AGAIN.1);
        let mut tries = 0;
        let mut run = run;
        let mut was_ended = false;
        let end = loop {
            let before = self.position;
            let stopped = read::once(self, &run).await?;
            if self.position != before {
                backoff.reset();
                tries = 0;
                run.start.after = self.position;
                run.tail = None;
            }
            match stopped {
                Stopped::End => {
                    let follows = self.shared.follow && run.which == Which::Present;
                    if !follows || self.has_ended(instance).await {
                        break None;
                    }
                }
                Stopped::Unwatched(words) => {
                    self.tell_once(words).await?;
                    backoff.reset();
                    // Between what was read and the end there may be more.
                    if was_ended {
                        break None;
                    }
                    was_ended = self.has_ended(instance).await;
                }
                // What the run before this had is gone: what there is now is read.
                Stopped::NotThere(_) if run.which == Which::Previous && !self.shared.wanted.previous => {
                    return Ok(None);
                }
                Stopped::NotThere(end) => break Some(end),
                Stopped::Broken(end) => {
                    tries += 1;
                    if tries >= TRIES || self.is_gone() {
                        break Some(end);
                    }
                }
            }
            sleep(backoff.next(rand::random(), None)).await;
        };
        match &end {
            None => self.say_state(LogSourceState::Ended, "").await?,
            Some(end) => {
                let words = end.message.clone();
                self.announce(LogSourceState::Failed, &words).await?;
            }
        }
        self.source = None;
        Ok(end)
    }

    fn is_gone(&self) -> bool {
        self.seen.borrow().gone
    }

    /// The log came to an end; does the status say so too?
    async fn has_ended(&mut self, instance: &Instance) -> bool {
        let ended = |seen: &Seen| {
            seen.gone
                || seen
                    .instance
                    .as_ref()
                    .is_none_or(|it| it.id != instance.id || !it.running)
        };
        timeout(STATUS, self.seen.wait_for(ended)).await.is_ok()
    }

    /// Returns a while after the pod went, for a log that does not notice.
    pub(super) async fn left_behind(&self) {
        let mut seen = self.seen.clone();
        let gone = seen.wait_for(|seen| seen.gone).await.is_ok();
        if !gone {
            std::future::pending::<()>().await;
        }
        sleep(REST).await;
    }

    async fn waits(&mut self, why: &str) -> Result<End, NobodyListens> {
        if self.shared.follow {
            self.announce(LogSourceState::Waiting, why).await?;
        }
        Ok(End::new(
            EndCode::NotFound,
            format!(
                "the container {} of the pod {} has no log yet: {why}; try again when it has started",
                self.container, self.pod
            ),
        ))
    }

    /// Before the first bytes of a run.
    pub(super) async fn open(&mut self) -> Result<u32, NobodyListens> {
        if let (Some(source), true) = (self.source, self.served) {
            return Ok(source);
        }
        self.served = true;
        self.announce(LogSourceState::Open, "").await
    }

    /// Of many logs that have the same trouble one speaks.
    async fn tell_once(&self, words: String) -> Result<(), NobodyListens> {
        if self.shared.told.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let notice = Frame::LogNotice(LogNotice { text: words });
        self.say(Said::word(&notice)).await
    }

    async fn announce(&mut self, state: LogSourceState, message: &str) -> Result<u32, NobodyListens> {
        let next = || self.shared.sources.fetch_add(1, Ordering::Relaxed);
        let source = *self.source.get_or_insert_with(next);
        self.say_state(state, message).await?;
        Ok(source)
    }

    /// Nothing of a run that was never announced.
    async fn say_state(&mut self, state: LogSourceState, message: &str) -> Result<(), NobodyListens> {
        let Some(source) = self.source else {
            return Ok(());
        };
        let frame = Frame::LogSource(LogSource {
            source,
            pod: self.pod.clone(),
            pod_uid: self.uid.clone(),
            container: self.container.clone(),
            state: state.into(),
            message: message.to_owned(),
        });
        self.say(Said::word(&frame)).await
    }

    pub(super) async fn say(&self, said: Said) -> Result<(), NobodyListens> {
        self.shared.said.send(said).await.map_err(|_| NobodyListens)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Mutex;

    use c7n_stream::BadFrame;
    use http::{Request, Response};
    use kube::client::Body;
    use tower::service_fn;

    use super::*;

    /// A kubelet without watches to give, whose log grows by a line with each question.
    fn kubelet(asked: Arc<Mutex<Vec<String>>>) -> Client {
        let service = service_fn(move |request: Request<Body>| {
            let mut asked = asked.lock().unwrap();
            asked.push(request.uri().query().unwrap_or_default().to_owned());
            let lines: String = (1..=asked.len())
                .map(|nth| format!("2026-11-25T20:56:04.{nth:09}Z line {nth}\n"))
                .collect();
            let words = "failed to create fsnotify watcher: too many open files";
            let body = Body::from(format!("{lines}{words}").into_bytes());
            async { Ok::<_, Infallible>(Response::new(body)) }
        });
        Client::new(service, "default")
    }

    fn seen(running: bool) -> Seen {
        Seen {
            instance: Some(Instance {
                id: "a".into(),
                number: 0,
                running,
                before_ended_ns: None,
            }),
            last: !running,
            ..Seen::default()
        }
    }

    #[tokio::test]
    async fn a_log_that_the_kubelet_cannot_watch_is_fetched_again_and_again() -> Result<(), BadFrame> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (said, mut words) = mpsc::channel(3);
        let shared = Shared {
            client: kubelet(asked.clone()),
            namespace: "shop".into(),
            follow: true,
            wanted: Wanted::default(),
            stamps: TimeStamps::Stripped,
            said,
            frames: Arc::new(Semaphore::new(3)),
            opening: Arc::new(Semaphore::new(1)),
            sources: AtomicU32::new(0),
            told: AtomicBool::new(false),
        };
        let (status, receiver) = watch::channel(seen(true));
        let key = ("uid".to_owned(), "app".to_owned());
        let reader = Reader::new(Arc::new(shared), "web", &key, receiver, None, None);
        let reading = tokio::spawn(reader.run());

        let (mut log, mut notices, mut states) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(said) = words.recv().await {
            match Frame::decode(said.frame)? {
                Frame::LogBytes(bytes) => log.extend_from_slice(&bytes.bytes),
                Frame::LogNotice(notice) => notices.push(notice.text),
                Frame::LogSource(source) => states.push(source.state()),
                other => panic!("{other:?}"),
            }
            if log.ends_with(b"line 2\n") {
                status.send_replace(seen(false));
            }
        }

        assert!(matches!(reading.await.unwrap(), Outcome::Served));
        // The third question is the last: what came before the end was known.
        assert_eq!(String::from_utf8(log).unwrap(), "line 1\nline 2\nline 3\n");
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(
            notices[0].contains("fs.inotify.max_user_instances"),
            "{notices:?}"
        );
        assert_eq!(states, [LogSourceState::Open, LogSourceState::Ended]);
        let asked = asked.lock().unwrap();
        assert!(
            !asked[0].contains("sinceTime") && asked[1].contains("sinceTime"),
            "{asked:?}"
        );
        Ok(())
    }
}
