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
use c7n_api::Node;
use c7n_link::messages::{ByeCode, CancelCommand, Hello, Say, Topic, Welcome};
use c7n_link::{Config, Output, Role, Session, negotiate};
use futures_util::SinkExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::mailbox::{Commands, Content, Mailbox, Reason};
use super::{Fleet, ingest, specs};
use crate::access::tokens;
use crate::store::{Credential, Introduction, Opening, Purpose, Store, StoreError};

/// A socket that takes nothing for so long is dead.
const WRITE: Duration = Duration::from_secs(20);
/// Between the upgrade and the hello.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// How long a farewell may take: nobody waits for one who does not listen.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long an agent waits for its turn to be introduced before it is asked to come back.
const TURN: Duration = Duration::from_secs(10);
/// What a platform that cannot answer asks agents to wait.
const COME_BACK_MS: u64 = 5_000;
const DELETED: &str = "this cluster was deleted on the platform";
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

struct Line {
    session: Session,
    start: Instant,
    fleet: Fleet,
    credential: Credential,
    socket: WebSocket,
    opened: Option<Opened>,
    /// Delivered, and not stored yet. The peer's window bounds it.
    queue: VecDeque<ingest::Delivered>,
    ingest: Option<Ingest>,
    /// Commands that this session has posted.
    posted: BTreeSet<String>,
}

struct Opened {
    epoch: i64,
    mailbox: Arc<Mailbox>,
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

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whatever the state machine wants done.
    async fn carry_out(&mut self) -> Result<(), Over> {
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

    async fn introduce(&mut self, hello: Hello) {
        let Some(protocol) = negotiate(&hello) else {
            let reason = format!(
                "this platform speaks version {} to {} of the dialogue and the agent {} to {}; update the older of the two",
                c7n_link::PROTOCOL_MIN,
                c7n_link::PROTOCOL_MAX,
                hello.protocol_min,
                hello.protocol_max
            );
            self.complain(&format!("its agent was refused: {reason}")).await;
            return self.session.refuse(ByeCode::Incompatible, &reason, 0);
        };
        if hello.cluster_uid.is_empty() {
            let reason = "the agent does not say which cluster it is in; it must be allowed to read the namespace kube-system";
            self.complain(&format!("its agent was refused: {reason}")).await;
            return self.session.refuse(ByeCode::Refused, reason, 0);
        }
        let fleet = self.fleet.clone();
        // The semaphore is never closed.
        let Ok(_turn) = timeout(TURN, fleet.inner.introductions.acquire()).await else {
            let reason = "too many agents connect at this moment";
            return self.session.refuse(ByeCode::Overloaded, reason, COME_BACK_MS);
        };
        match self.open(&hello, protocol).await {
            Ok(()) => {}
            Err(error) => {
                tracing::error!(%error, "a session could not be opened");
                self.session.refuse(
                    ByeCode::Overloaded,
                    "the platform's database cannot answer at this moment",
                    COME_BACK_MS,
                );
            }
        }
    }

    /// Leaves a word for the people who look at the cluster.
    async fn complain(&mut self, message: &str) {
        let (cluster, store) = (&self.credential.cluster_id, &self.fleet.inner.store);
        let told = async {
            let mut tx = store.write().await?;
            tx.cluster_message(cluster, Some(message)).await?;
            tx.commit().await
        };
        if let Err(error) = told.await {
            tracing::warn!(%cluster, %message, %error, "this could not be stored");
        }
    }

    async fn open(&mut self, hello: &Hello, protocol: u32) -> Result<(), StoreError> {
        let store = self.fleet.inner.store.clone();
        let cluster = self.credential.cluster_id.clone();
        let info = hello.cluster.clone().unwrap_or_default();
        let nodes: Vec<Node> = info.nodes.into_iter().map(node).collect();
        let said = Introduction {
            uid: &hello.cluster_uid,
            agent_version: &hello.agent_version,
            kubernetes_version: &info.kubernetes_version,
            nodes: &nodes,
        };
        let mut tx = store.write().await?;
        let opening = tx.open_session(&cluster, &said).await?;
        let mut swapped = None;
        if let Opening::Epoch(_) = opening {
            match self.credential.purpose {
                Purpose::Activation => {
                    let issued = tokens::issue();
                    tx.add_session_credential(&cluster, &issued.hash).await?;
                    swapped = Some(issued.token);
                }
                Purpose::Session => tx.consume_activation(&self.credential).await?,
            }
        }
        tx.commit().await?;
        let epoch = match opening {
            Opening::Epoch(epoch) => epoch,
            Opening::Gone => {
                self.session.refuse(ByeCode::Refused, DELETED, 0);
                return Ok(());
            }
            Opening::OtherCluster => {
                let reason = "this credential belongs to another cluster; get one for this cluster with `c7n cluster activation`";
                self.session.refuse(ByeCode::Refused, reason, 0);
                return Ok(());
            }
        };
        tracing::info!(%cluster, epoch, agent = %hello.agent_version, "an agent is connected");
        self.opened = Some(Opened {
            epoch,
            mailbox: self.fleet.present(&cluster, epoch),
        });
        if store.newest_epoch(&cluster).await?.is_none() {
            // Deleted before there was a mailbox to tell it to.
            self.session.refuse(ByeCode::Refused, DELETED, 0);
            return Ok(());
        }
        let rows = store.specs(&cluster).await?;
        let welcome = Welcome {
            protocol,
            features: Vec::new(),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            heartbeat_ms: u32::try_from(Config::default().heartbeat_ms).unwrap_or(u32::MAX),
            credential: swapped.unwrap_or_default(),
            environments: rows.iter().map(|row| row.id.clone()).collect(),
        };
        let addresses = store.addresses();
        for row in rows {
            self.session.post(Say::Environment(specs::spec(row, &addresses)));
        }
        // What was called off while nobody was connected.
        for command_id in store.cancelled_commands(&cluster).await? {
            self.session.post(Say::Cancel(CancelCommand { command_id }));
        }
        self.post_commands().await?;
        let now = self.now();
        self.session
            .accept(now, u64::try_from(epoch).unwrap_or_default(), welcome);
        Ok(())
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
        if !content.environments.is_empty() {
            let addresses = store.addresses();
            for row in store.specs(&self.credential.cluster_id).await? {
                if content.environments.contains(&row.id) {
                    self.session.post(Say::Environment(specs::spec(row, &addresses)));
                }
            }
        }
        if content.commands == Commands::Changed {
            self.post_commands().await?;
        }
        Ok(())
    }

    /// New commands are said, and those that ended otherwise are called off.
    async fn post_commands(&mut self) -> Result<(), StoreError> {
        let waiting = self
            .fleet
            .inner
            .store
            .waiting_commands(&self.credential.cluster_id)
            .await?;
        let open: BTreeSet<String> = waiting.iter().map(|command| command.id.clone()).collect();
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
                for lost in self.session.take_oversized() {
                    tracing::error!(cluster = %self.credential.cluster_id, ?lost, "too big to be asked");
                }
                if let Some(opened) = &self.opened {
                    for environment in &taken.registered {
                        opened.mailbox.environment_changed(environment);
                    }
                }
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

pub(super) fn node(node: c7n_link::messages::Node) -> Node {
    Node {
        name: node.name,
        ready: node.ready,
        kubelet_version: node.kubelet_version,
    }
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
