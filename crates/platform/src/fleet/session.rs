//! One agent's session: drives the state machine of `c7n-link` between a socket and the database.
//!
//! What is stored is stored by a task beside this one: it may hold the database's only writer, and must never wait for a
//! socket that takes nothing.

use std::collections::{BTreeSet, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket};
use c7n_link::messages::{ByeCode, CancelCommand, Say, Topic};
use c7n_link::{Config, Output, Role, Session};
use futures_util::SinkExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::mailbox::{Commands, Content, Mailbox, Reason};
use super::{Fleet, ingest, specs};
use crate::store::{Credential, Store, StoreError};

/// A socket that takes nothing for so long is dead.
const WRITE: Duration = Duration::from_secs(20);
/// Between the upgrade and the hello.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// How long a farewell may take: nobody waits for one who does not listen.
const FAREWELL: Duration = Duration::from_secs(2);
/// What a platform that cannot answer asks agents to wait.
pub(super) const COME_BACK_MS: u64 = 5_000;
pub(super) const DELETED: &str = "this cluster was deleted on the platform";
/// Items after which a transaction takes no further message.
const ITEMS_AT_ONCE: usize = 500;
/// Between two attempts to store that a session is over.
const TRY_AGAIN: Duration = Duration::from_secs(3);

type Ingest = JoinHandle<Result<ingest::Taken, StoreError>>;

pub async fn run(fleet: Fleet, credential: Credential, socket: WebSocket) {
    let shutdown = fleet.inner.shutdown.clone();
    let tasks = fleet.inner.tasks.clone();
    let mut line = Line {
        session: Session::new(Role::Platform, Config::default()),
        start: Instant::now(),
        fleet,
        credential,
        socket,
        opened: None,
        queue: VecDeque::new(),
        ingest: None,
        posted: BTreeSet::new(),
        rotate_at: None,
    };
    // The tracker lets a shutdown wait for what is being stored.
    let _token = tasks.token();
    line.session.connected(0, None);
    tokio::select! {
        () = line.talk() => {}
        () = shutdown.cancelled() => {
            line.session.refuse(ByeCode::GoingAway, "the platform restarts", 0);
            let _ = line.carry_out().await;
        }
    }
    line.end().await;
}

pub(super) struct Line {
    pub(super) session: Session,
    start: Instant,
    pub(super) fleet: Fleet,
    pub(super) credential: Credential,
    socket: WebSocket,
    pub(super) opened: Option<Opened>,
    /// Delivered, and not stored yet. The peer's window bounds it.
    queue: VecDeque<ingest::Delivered>,
    ingest: Option<Ingest>,
    /// Commands that this session has posted.
    posted: BTreeSet<String>,
    /// When the agent gets a new credential.
    pub(super) rotate_at: Option<Instant>,
}

pub(super) struct Opened {
    pub(super) epoch: i64,
    pub(super) mailbox: Arc<Mailbox>,
}

/// The session is over.
struct Over;

impl Line {
    async fn talk(&mut self) {
        loop {
            if self.carry_out().await.is_err() {
                return;
            }
            self.store_what_came();
            let deadline = self
                .session
                .next_deadline()
                .map(|ms| self.start + Duration::from_millis(ms));
            let deadline = match self.opened {
                Some(_) => deadline,
                None => Some(self.start + INTRODUCTION),
            };
            tokio::select! {
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Binary(bytes))) => {
                        let now = self.now();
                        if let Err(error) = self.session.receive(now, &bytes) {
                            tracing::warn!(cluster = %self.credential.cluster_id, %error, "an agent said what cannot be");
                        }
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
                content = mail(self.opened.as_ref()) => {
                    if self.look_up(content).await.is_err() {
                        return;
                    }
                }
                taken = stored(self.ingest.as_mut()) => {
                    self.ingest = None;
                    self.acknowledge(taken);
                }
                () = until(self.rotate_at) => self.rotate().await,
                () = until(deadline) => {
                    if self.opened.is_none() && Instant::now() >= self.start + INTRODUCTION {
                        return;
                    }
                    let now = self.now();
                    self.session.tick(now);
                }
            }
        }
    }

    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whatever the state machine wants done.
    async fn carry_out(&mut self) -> Result<(), Over> {
        for lost in self.session.take_oversized() {
            tracing::error!(
                cluster = %self.credential.cluster_id, topic = ?lost.topic, size = lost.size, limit = lost.limit,
                "too big to be said to the agent; it goes without"
            );
        }
        let mut wrote = false;
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(frame) => {
                    self.feed(frame).await?;
                    wrote = true;
                }
                Output::Hello(hello) => self.introduce(hello).await,
                Output::Deliver { epoch, seq, items } => {
                    self.queue.push_back(ingest::Delivered { epoch, seq, items })
                }
                Output::Close { code, reason, .. } => {
                    tracing::info!(cluster = %self.credential.cluster_id, ?code, %reason, "a session ends");
                    let _ = timeout(FAREWELL, self.socket.send(Message::Close(None))).await;
                    return Err(Over);
                }
                Output::Welcome(_) => {}
            }
        }
        if wrote {
            self.flush().await?;
        }
        Ok(())
    }

    async fn feed(&mut self, frame: Bytes) -> Result<(), Over> {
        match timeout(WRITE, self.socket.feed(Message::Binary(frame))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Over),
        }
    }

    async fn flush(&mut self) -> Result<(), Over> {
        match timeout(WRITE, self.socket.flush()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Over),
        }
    }

    async fn look_up(&mut self, content: Content) -> Result<(), Over> {
        if let Some(reason) = content.close {
            let (code, words) = match reason {
                Reason::Superseded => (
                    ByeCode::Superseded,
                    "a newer session of this cluster took its place",
                ),
                Reason::ClusterDeleted => (ByeCode::Refused, DELETED),
            };
            self.session.refuse(code, words, 0);
            return self.carry_out().await;
        }
        if let Err(error) = self.tell(content).await {
            // The next session begins with everything; it is better than to keep silent.
            tracing::error!(%error, "what an agent should know could not be read");
            self.session.refuse(
                ByeCode::Overloaded,
                "the platform's database cannot answer at this moment",
                COME_BACK_MS,
            );
        }
        Ok(())
    }

    async fn tell(&mut self, content: Content) -> Result<(), StoreError> {
        let store = self.fleet.inner.store.clone();
        for environment in &content.environments {
            if let Some(row) = store.spec(&self.credential.cluster_id, environment).await? {
                let spec = specs::spec(row, &store.addresses());
                self.session.post(Say::Environment(spec));
            }
        }
        if content.commands == Commands::Changed {
            self.post_commands().await?;
        }
        for open in content.streams {
            self.session.post(Say::OpenStream(open));
        }
        Ok(())
    }

    /// New commands are said, and those that ended otherwise are called off.
    pub(super) async fn post_commands(&mut self) -> Result<(), StoreError> {
        let waiting = self
            .fleet
            .inner
            .store
            .waiting_commands(&self.credential.cluster_id)
            .await?;
        let upgrade = self
            .fleet
            .inner
            .store
            .waiting_upgrade(&self.credential.cluster_id)
            .await?;
        let mut open: BTreeSet<String> = waiting.iter().map(|command| command.id.clone()).collect();
        open.extend(upgrade.iter().map(|upgrade| upgrade.id.clone()));
        let ended: Vec<String> = self.posted.difference(&open).cloned().collect();
        for command_id in ended {
            self.posted.remove(&command_id);
            self.session.withdraw(&Topic::Command(command_id.clone()));
            self.session.post(Say::Cancel(CancelCommand { command_id }));
        }
        for command in waiting {
            if self.posted.insert(command.id.clone()) {
                self.session.post(Say::Command(specs::command(command)));
            }
        }
        if let Some(upgrade) = upgrade
            && self.posted.insert(upgrade.id.clone())
        {
            self.session.post(Say::Command(specs::upgrade(upgrade)));
        }
        Ok(())
    }

    /// One transaction at a time per session, with what came meanwhile.
    fn store_what_came(&mut self) {
        let Some(opened) = &self.opened else { return };
        if self.ingest.is_none() && !self.queue.is_empty() {
            let batch = portion(&mut self.queue);
            let inner = &self.fleet.inner;
            let (store, repositories) = (inner.store.clone(), inner.repositories.clone());
            let (cluster, epoch) = (self.credential.cluster_id.clone(), opened.epoch);
            let ingest = ingest::store(store, repositories, cluster, epoch, batch);
            self.ingest = Some(inner.tasks.spawn(ingest));
        }
    }

    fn acknowledge(&mut self, taken: Result<ingest::Taken, NotStored>) {
        match taken {
            Ok(taken) => {
                for ask in taken.questions {
                    self.session.post(ask);
                }
                for result in taken.ended {
                    self.posted.remove(&result);
                }
                if let Some(opened) = &self.opened {
                    for environment in &taken.registered {
                        opened.mailbox.environment_changed(environment);
                    }
                }
                self.fleet.inner.instances.changed(taken.changed);
                self.session.committed(taken.epoch, taken.seq);
            }
            // Not acknowledged, so it comes again.
            Err(error) => {
                tracing::error!(cluster = %self.credential.cluster_id, %error, "what an agent said could not be stored");
                self.session.refuse(
                    ByeCode::Overloaded,
                    "the platform cannot store anything at this moment",
                    COME_BACK_MS,
                );
            }
        }
    }

    /// What is being stored is stored first: it may hold the writer, and it is of this session still.
    async fn end(self) {
        if let Some(ingest) = self.ingest {
            let _ = ingest.await;
        }
        let Some(opened) = self.opened else { return };
        let (cluster, store) = (self.credential.cluster_id, self.fleet.inner.store.clone());
        self.fleet.absent(&cluster, opened.epoch);
        // Nobody else would ever say that this cluster is disconnected. A later session makes it a no-op, and the next start
        // of the platform says it of all.
        while let Err(error) = close(&store, &cluster, opened.epoch).await {
            tracing::error!(%cluster, %error, "the end of a session could not be stored; it is tried again");
            tokio::select! {
                () = self.fleet.inner.shutdown.cancelled() => return,
                () = sleep(TRY_AGAIN) => {}
            }
        }
    }
}

/// Everything, unless that would keep the writer from the others for long.
fn portion(queue: &mut VecDeque<ingest::Delivered>) -> Vec<ingest::Delivered> {
    let (mut batch, mut items) = (Vec::new(), 0);
    while items < ITEMS_AT_ONCE
        && let Some(delivered) = queue.pop_front()
    {
        items += delivered.items.len();
        batch.push(delivered);
    }
    batch
}

async fn close(store: &Store, cluster: &str, epoch: i64) -> Result<(), StoreError> {
    let mut tx = store.write().await?;
    tx.close_session(cluster, epoch).await?;
    tx.commit().await
}

async fn mail(opened: Option<&Opened>) -> Content {
    match opened {
        Some(opened) => opened.mailbox.take().await,
        None => pending().await,
    }
}

/// Why nothing can be acknowledged.
#[derive(Debug, thiserror::Error)]
enum NotStored {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("storing broke off: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

async fn stored(ingest: Option<&mut Ingest>) -> Result<ingest::Taken, NotStored> {
    match ingest {
        Some(ingest) => Ok(ingest.await??),
        None => pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
