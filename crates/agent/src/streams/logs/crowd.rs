//! All containers of one stream: a reader for each, told what becomes of its pod.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use c7n_link::messages::{LogTarget, ReadLogs};
use c7n_stream::{End, EndCode, LogPosition, TimeStamps};
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::instance::{Seen, Wanted, see};
use super::reader::{Outcome, Reader, Shared};
use super::{FRAMES, Said};
use crate::streams::{Ground, target};

/// Logs that are asked for at the same time; of those that are not followed, read at the same time.
const OPENED_AT_ONCE: usize = 50;
/// Logs in one stream that is followed.
const FOLLOWED: usize = 1000;

/// A pod's uid, and a container of it.
type Key = (String, String);

pub struct Crowd {
    shared: Arc<Shared>,
    target: LogTarget,
    container: String,
    all_containers: bool,
    from: BTreeMap<Key, LogPosition>,
    seen: BTreeMap<Key, watch::Sender<Seen>>,
    readers: JoinSet<Outcome>,
    /// All pods that were there at the start were seen.
    known: bool,
    /// No more pods will come.
    closed: bool,
    served: bool,
    trouble: Option<End>,
    over_limit: bool,
}

impl Crowd {
    pub fn new(ground: &Ground, wish: ReadLogs, said: mpsc::Sender<Said>) -> Result<Self, End> {
        let follow = wish.follow && !wish.previous;
        let Some(target) = wish.target else {
            return Err(End::new(
                EndCode::ProtocolError,
                "the platform names no pod whose log is wanted; upgrade the agent",
            ));
        };
        let from: BTreeMap<Key, LogPosition> = wish
            .from
            .into_iter()
            .map(|from| {
                let position = LogPosition {
                    time_ns: from.time_ns,
                    nth: from.nth,
                    offset: from.offset,
                };
                ((from.pod_uid, from.container), position)
            })
            .collect();
        let shared = Shared {
            client: ground.client.clone(),
            namespace: ground.namespace.clone(),
            follow,
            wanted: Wanted {
                previous: wish.previous,
                since_ns: wish.since_ns,
                // Who comes back has had the tail.
                tail: wish.tail.filter(|_| from.is_empty()),
            },
            stamps: if wish.timestamps {
                TimeStamps::Kept
            } else {
                TimeStamps::Stripped
            },
            said,
            frames: Arc::new(Semaphore::new(FRAMES)),
            opening: Arc::new(Semaphore::new(OPENED_AT_ONCE)),
            sources: AtomicU32::new(0),
            told: AtomicBool::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
            target,
            container: wish.container,
            all_containers: wish.all_containers,
            from,
            seen: BTreeMap::new(),
            readers: JoinSet::new(),
            known: false,
            closed: !follow,
            served: false,
            trouble: None,
            over_limit: false,
        })
    }

    /// An error only where a single pod does not have what is asked for.
    pub fn see(&mut self, pod: &Pod) -> Result<(), End> {
        let names = if self.all_containers {
            target::containers(pod)
                .into_iter()
                .map(|(name, _)| name.to_owned())
                .collect()
        } else {
            match (target::container(pod, &self.container), &self.target) {
                (Ok(name), _) => vec![name],
                (Err(end), LogTarget::Pod(_)) => return Err(end),
                // Of several pods not all have the container.
                (Err(end), _) => {
                    self.trouble.get_or_insert(end);
                    Vec::new()
                }
            }
        };
        if matches!(self.target, LogTarget::Pod(_)) && target::is_over(pod) {
            self.closed = true;
        }
        for name in names {
            let seen = see(pod, &name);
            let key = (target::uid(pod).to_owned(), name.clone());
            if let Some(known) = self.seen.get(&key) {
                known.send_if_modified(|it| {
                    let changed = *it != seen;
                    *it = seen;
                    changed
                });
                continue;
            }
            if self.shared.follow && self.readers.len() >= FOLLOWED {
                self.over_limit = true;
                continue;
            }
            // A container that was not there at the start is read from its beginning.
            let tail = self.shared.wanted.tail.filter(|_| !self.known);
            let (sender, receiver) = watch::channel(seen);
            let reader = Reader::new(
                self.shared.clone(),
                target::name(pod),
                &key,
                receiver,
                self.from.get(&key).copied(),
                tail,
            );
            self.readers.spawn(reader.run());
            self.seen.insert(key, sender);
        }
        Ok(())
    }

    pub fn lose(&mut self, uid: &str) {
        self.seen.retain(|(of, _), seen| {
            if of == uid {
                seen.send_modify(|it| it.gone = true);
            }
            of != uid
        });
        if matches!(self.target, LogTarget::Pod(_)) {
            self.closed = true;
        }
    }

    /// Words for the person, if there is something to say about what is there.
    pub fn all_known(&mut self) -> Option<String> {
        let first = !std::mem::replace(&mut self.known, true);
        if std::mem::take(&mut self.over_limit) {
            return Some(format!(
                "more than {FOLLOWED} containers are too many to be followed at once; the others are left out: choose fewer pods"
            ));
        }
        (first && self.shared.follow && self.seen.is_empty())
            .then(|| "there is no such pod yet; the log begins when one comes".to_owned())
    }

    /// Waits until a reader has ended; for ever when there is none. Safe to drop.
    pub async fn progress(&mut self) {
        match self.readers.join_next().await {
            Some(Ok(Outcome::Served)) => self.served = true,
            Some(Ok(Outcome::Nothing(end))) => {
                self.trouble.get_or_insert(end);
            }
            Some(Err(error)) => tracing::error!(%error, "a reader of a log came to grief"),
            None => std::future::pending().await,
        }
    }

    /// How the stream ends, when nothing more will come.
    pub fn is_over(&mut self) -> Option<End> {
        if !(self.known && self.closed && self.readers.is_empty()) {
            return None;
        }
        match self.trouble.take() {
            Some(end) if !self.served => Some(end),
            _ => Some(End::new(EndCode::Completed, "")),
        }
    }
}
