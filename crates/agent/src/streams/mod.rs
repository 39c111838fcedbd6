//! Logs, exec and port-forward: what a person wants of a pod, each in a WebSocket of its own to the platform.
//!
//! In: [`OpenStream`] of the link. Out: frames of `c7n_stream`, and at the end a sentence that says why. Never: more than
//! [`AT_ONCE`] streams, a stream in a namespace that is no environment of this agent's, or anything that the link waits for.
//!
//! ```text
//! platform <-- wire --> seat <-- Pipe --> pump <-- wire --> API server     (exec, port-forward)
//! platform <-- wire --> logs <-- frames -- one reader per container
//! ```

mod exec;
mod forward;
mod logs;
mod pod;
mod pump;
mod review;
mod seat;
mod status;
mod target;
mod wire;
mod words;

use std::sync::Arc;
use std::time::Duration;

use c7n_link::messages::{OpenStream, Wish};
use c7n_stream::{End, EndCode, Ticket};
use kube::Client;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::ClusterAccess;
use crate::config::Token;
use crate::environments::EnvironmentId;
use crate::session::Door;
use review::Reviewer;
use seat::{Gate, Seat};

/// Streams that go on at the same time. With a window each they stay below the memory that the chart allows the agent.
pub const AT_ONCE: usize = 8192;
/// Those beyond are told so, if they are not too many themselves.
const REFUSED_AT_ONCE: usize = 64;

/// Whether processes are run in pods of this cluster, and ports forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecIs {
    On,
    Off,
}

/// In which namespace an environment is, if it is one of this agent's.
pub type Homes = Arc<dyn Fn(&EnvironmentId) -> Option<String> + Send + Sync>;

/// A cheap handle.
#[derive(Clone)]
pub struct Streams {
    shared: Arc<Shared>,
}

struct Shared {
    gate: Gate,
    client: Client,
    /// For what must not be begun twice.
    plain: Client,
    homes: Homes,
    exec: ExecIs,
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

/// What a stream works with, once it is known to be in order.
struct Ground {
    client: Client,
    plain: Client,
    namespace: String,
    reviewer: Option<Reviewer>,
    shutdown: CancellationToken,
}

impl Streams {
    pub fn new(
        door: Door,
        credential: watch::Receiver<Option<Token>>,
        access: &ClusterAccess,
        homes: Homes,
        exec: ExecIs,
        tracker: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let shared = Shared {
            gate: Gate::new(door, credential),
            client: access.client(),
            plain: access.plain_client(),
            homes,
            exec,
            places: Arc::new(Semaphore::new(AT_ONCE)),
            refusals: Arc::new(Semaphore::new(REFUSED_AT_ONCE)),
            tracker,
            shutdown,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Begins a stream, and waits for nothing.
    pub fn open(&self, open: OpenStream) {
        let shared = self.shared.clone();
        if let Ok(place) = shared.places.clone().try_acquire_owned() {
            self.shared.tracker.spawn(async move {
                Box::pin(shared.run(open)).await;
                drop(place);
            });
        } else if let Ok(place) = shared.refusals.clone().try_acquire_owned() {
            self.shared.tracker.spawn(async move {
                let words = format!(
                    "the agent of this cluster already serves {AT_ONCE} logs and sessions; close some, or try again later"
                );
                shared.refuse(open, End::new(EndCode::Busy, words)).await;
                drop(place);
            });
        } else {
            // The platform tells the person that nobody came.
            tracing::warn!(
                stream = open.stream_id,
                "too many streams; this one is not opened"
            );
        }
    }

    /// How many streams go on.
    pub fn running(&self) -> usize {
        AT_ONCE - self.shared.places.available_permits()
    }
}

impl Shared {
    async fn run(&self, open: OpenStream) {
        let Some(mut seat) = self.sit_down(&open).await else {
            return;
        };
        let id = open.stream_id.clone();
        let end = match self.check(&open).await {
            Err(end) => Some(end),
            Ok(ground) => match open.wish {
                Some(Wish::Logs(wish)) => Box::pin(logs::run(&ground, wish, &mut seat)).await,
                Some(Wish::Exec(wish)) => Box::pin(exec::run(&ground, wish, &self.gate, &mut seat)).await,
                Some(Wish::PortForward(wish)) => {
                    Box::pin(forward::run(&ground, wish, &self.gate, &mut seat)).await
                }
                None => Some(End::new(
                    EndCode::ProtocolError,
                    "the platform asks for a sort of stream that this agent does not know; upgrade the agent",
                )),
            },
        };
        tracing::debug!(stream = id, ?end, "a stream is over");
        seat.leave(end).await;
    }

    /// `None` when there is nobody to speak with: the platform tells the person.
    async fn sit_down(&self, open: &OpenStream) -> Option<Seat> {
        let Ok(ticket) = Ticket::from_slice(&open.ticket) else {
            tracing::warn!(stream = open.stream_id, "a stream came without a ticket");
            return None;
        };
        let seated = tokio::select! {
            () = self.shutdown.cancelled() => return None,
            seated = self.gate.take_first(ticket) => seated,
        };
        match seated {
            Ok(seat) => Some(seat),
            Err(cause) => {
                tracing::info!(stream = open.stream_id, %cause, "a stream cannot be opened");
                None
            }
        }
    }

    async fn refuse(&self, open: OpenStream, end: End) {
        if let Some(seat) = self.sit_down(&open).await {
            seat.leave(Some(end)).await;
        }
    }

    /// What must be in order before anything flows.
    async fn check(&self, open: &OpenStream) -> Result<Ground, End> {
        if self.exec == ExecIs::Off && matches!(open.wish, Some(Wish::Exec(_) | Wish::PortForward(_))) {
            return Err(End::new(
                EndCode::Forbidden,
                "processes in pods and port-forwards are switched off in this cluster; ask whoever installed its agent \
                 (--no-exec, the chart's exec.enabled)",
            ));
        }
        let namespace = EnvironmentId::new(&open.environment_id).and_then(|id| (self.homes)(&id));
        let Some(namespace) = namespace else {
            return Err(End::new(
                EndCode::NotFound,
                "the agent does not have this environment (yet); look at its state with `c7n env show`",
            ));
        };
        let reviewer = Reviewer::of(open, self.client.clone(), &namespace);
        if let Some(reviewer) = &reviewer {
            tokio::select! {
                () = self.shutdown.cancelled() => return Err(going_away()),
                reviewed = reviewer.review() => reviewed?,
            }
        }
        Ok(Ground {
            client: self.client.clone(),
            plain: self.plain.clone(),
            namespace,
            reviewer,
            shutdown: self.shutdown.clone(),
        })
    }
}

impl Ground {
    /// Ends when the cluster does not allow it any more; never where it is not asked.
    async fn right_lost(&self) -> End {
        match &self.reviewer {
            Some(reviewer) => reviewer.until_lost().await,
            None => std::future::pending().await,
        }
    }
}

fn going_away() -> End {
    End::new(
        EndCode::GoingAway,
        "the agent of this cluster stops, or another copy of it takes over; open it again",
    )
}

/// What is waited for at most before the person hears why nothing comes.
const CALL: Duration = Duration::from_secs(15);
