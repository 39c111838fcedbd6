//! Logs, exec and port-forward: the platform joins a person's end and an agent's end of a stream.
//!
//! A stream is opened by a call ([`Streams::open`]), which checks the wish ([`wish`]) and gives out a ticket for the person's
//! seat. `door` judges who comes with a ticket, `seat` looks after one socket, `relay` carries what one end says to the other,
//! `state` knows who sits where (pure), and `keeper` watches one stream from its opening to its last line in the audit log:
//! deadlines, rights, the end.
//! `recorder` keeps what a terminal showed, where the environment wants it (`cast`, `recordings`); `download` is a person's end
//! without a socket. Never here: a byte of people that is kept, except in a recording.

mod cast;
mod door;
mod download;
mod joint;
mod keeper;
mod outlet;
mod recorder;
mod recordings;
mod registry;
mod relay;
mod seat;
mod state;
mod tickets;
mod wish;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use c7n_api::{NewStream, OpenedStream, StreamKind};
use c7n_link::FEATURE_STREAMS;
use c7n_link::messages::OpenStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Actor, Denial, Resource, Verb, authorize};
use crate::fleet::Fleet;
use crate::store::{Standing, Store, StoreError, StreamRow, new_id, now_ms};
use cast::Head;
pub use door::close_unless_joined;
pub use download::Download;
use joint::Joint;
use recorder::Recorder;
pub use recordings::Recordings;
use registry::Registry;
pub use registry::{Limits, TooMany};
pub use wish::BadWish;

/// Cheap to clone.
#[derive(Clone)]
pub struct Streams {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    fleet: Fleet,
    times: Times,
    recordings: Recordings,
    registry: Registry,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// How long everything may take; tests have less patience.
#[derive(Debug, Clone)]
pub struct Times {
    /// Until the first request of a connection has come.
    pub handshake: Duration,
    /// Until the person's end takes the seat that it has a ticket for.
    pub take_seat: Duration,
    /// Until the agent has dialled.
    pub agent: Duration,
    /// How long a seat of an exec or a port-forward is kept after a break.
    pub patience: Duration,
    pub ping: Duration,
    /// A socket that says nothing for so long is lost.
    pub silence: Duration,
    /// How long a reader of logs may take nothing.
    pub stalled: Duration,
    /// Between two looks whether the right is still there.
    pub recheck: Duration,
    /// What a minute of an environment's idle limit is.
    pub minute: Duration,
    /// How long an end may take to be told.
    pub farewell: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            take_seat: Duration::from_secs(10),
            agent: Duration::from_secs(15),
            patience: Duration::from_secs(60),
            ping: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            stalled: Duration::from_secs(5 * 60),
            recheck: Duration::from_secs(15),
            minute: Duration::from_secs(60),
            farewell: Duration::from_secs(5),
        }
    }
}

/// Who opens a stream, and where.
pub struct Opener<'a> {
    pub token_hash: &'a str,
    pub environment: &'a str,
    pub environment_name: &'a str,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Wish(#[from] BadWish),
    #[error("this is not allowed")]
    Denied(Denial),
    /// The token, the user or the environment went meanwhile.
    #[error("there is no such environment")]
    Gone,
    #[error("the agent of the cluster is not connected")]
    ClusterAway,
    #[error("the agent of the cluster is too old for streams")]
    AgentTooOld,
    #[error(transparent)]
    TooMany(#[from] TooMany),
    #[error("this environment records its sessions, and the recording cannot be begun: {0}")]
    Recording(std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Streams {
    /// What a platform that ended without a word has left open in the audit log is closed there.
    pub async fn start(
        store: Store,
        fleet: Fleet,
        limits: Limits,
        times: Times,
        recordings: Recordings,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Result<Self, StoreError> {
        let mut tx = store.write().await?;
        tx.close_stream_records("the platform ended without a word while this went on")
            .await?;
        tx.commit().await?;
        let inner = Inner {
            store,
            fleet,
            times,
            recordings,
            registry: Registry::new(limits),
            tasks,
            shutdown,
        };
        let streams = Self {
            inner: Arc::new(inner),
        };
        let inner = &streams.inner;
        let kept = inner.recordings.clone();
        inner
            .tasks
            .spawn(kept.keep_few(inner.store.clone(), inner.shutdown.clone()));
        Ok(streams)
    }

    pub fn recordings(&self) -> &Recordings {
        &self.inner.recordings
    }

    /// To be merged into the server's routes.
    pub fn router(&self) -> Router {
        door::router(self.clone())
    }

    /// How many are open, those that wait for their ends too.
    pub fn count(&self) -> usize {
        self.inner.registry.count()
    }

    /// A seat for a person's socket.
    pub async fn open(&self, who: Opener<'_>, new: NewStream) -> Result<OpenedStream, OpenError> {
        let (joint, ticket) = self.prepare(who, new).await?;
        let take_seat = i64::try_from(self.inner.times.take_seat.as_millis()).unwrap_or(i64::MAX);
        Ok(OpenedStream {
            id: joint.row.id.clone(),
            ticket: ticket.reveal(),
            path: c7n_stream::CLIENT_PATH.to_owned(),
            expires_ms: now_ms().saturating_add(take_seat),
        })
    }

    async fn prepare(
        &self,
        who: Opener<'_>,
        new: NewStream,
    ) -> Result<(Arc<Joint>, c7n_stream::Ticket), OpenError> {
        let inner = &self.inner;
        let asked = wish::check(new)?;
        let standing = inner
            .store
            .stream_standing(who.token_hash, who.environment)
            .await?
            .ok_or(OpenError::Gone)?;
        allowed(&standing, who.environment, asked.kind).map_err(OpenError::Denied)?;
        if !inner.fleet.is_connected(&standing.cluster_id) {
            return Err(OpenError::ClusterAway);
        }
        if !inner
            .store
            .agent_can(&standing.cluster_id, FEATURE_STREAMS)
            .await?
        {
            return Err(OpenError::AgentTooOld);
        }
        let place = inner
            .registry
            .reserve(&standing.caller.id, &standing.cluster_id)?;
        let row = StreamRow {
            id: new_id(),
            project_id: standing.project_id,
            environment_id: who.environment.to_owned(),
            environment: who.environment_name.to_owned(),
            user_id: standing.caller.id,
            username: standing.caller.username,
            kind: asked.kind,
            target: asked.target,
            container: asked.container,
            command: asked.command,
            recorded: asked.kind == StreamKind::Exec && standing.settings.record_exec,
        };
        let recorder = match row.recorded {
            true => Some(self.record(&row, asked.terminal).await?),
            false => None,
        };
        let mut tx = inner.store.write().await?;
        tx.open_stream_record(&row).await?;
        tx.commit().await?;
        let open = OpenStream {
            stream_id: row.id.clone(),
            environment_id: row.environment_id.clone(),
            reviewed_user: match standing.settings.review_access {
                true => row.username.clone(),
                false => String::new(),
            },
            wish: Some(asked.wish),
            ..OpenStream::default()
        };
        let idle = (asked.kind == StreamKind::Exec)
            .then(|| inner.times.minute * standing.settings.idle_minutes.max(1));
        let (ticket, hash) = tickets::issue();
        let joint = Joint::new(
            row,
            standing.cluster_id,
            who.token_hash.to_owned(),
            idle,
            hash,
            Instant::now() + inner.times.take_seat,
            place,
        );
        let joint = Arc::new(joint.recorded_by(recorder));
        inner.registry.expect(hash, &joint, state::Side::Client);
        inner
            .tasks
            .spawn(keeper::keep(self.clone(), Arc::clone(&joint), open));
        Ok((joint, ticket))
    }
}

impl Streams {
    async fn record(&self, row: &StreamRow, terminal: wish::Terminal) -> Result<Recorder, OpenError> {
        let head = Head {
            terminal: terminal.is_one,
            size: terminal.size,
            time_ms: now_ms(),
            title: &format!("{}/{}", row.environment, row.target),
        };
        let begun = self.inner.recordings.begin(&row.id, &head).await;
        begun.map_err(OpenError::Recording)
    }
}

/// Whether somebody may have a stream of this kind in an environment.
fn allowed(standing: &Standing, environment: &str, kind: StreamKind) -> Result<(), Denial> {
    let resource = Resource::Environment {
        role: standing.role,
        id: environment,
        cluster: &standing.cluster_id,
        streams: standing.rights,
    };
    let verb = match kind {
        StreamKind::Logs => Verb::Logs,
        StreamKind::Exec | StreamKind::PortForward => Verb::Exec,
    };
    authorize(&Actor::User(standing.caller.clone()), verb, resource)
}
