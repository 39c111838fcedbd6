//! Joins the parts of the agent that leads and runs them until it is told to stop.
//!
//! session <-> environments <-> delivery, state; session <-> commands; session -> streams. No part knows more of another than a handle.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use c7n_git::{CommitId, Mirror, PlainHttp, Remote, Secret, Transport};
use c7n_link::messages::{Action, Command, EnvironmentSpec, Hello, Say, Welcome};
use c7n_link::{PROTOCOL_MAX, PROTOCOL_MIN};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::{ClusterAccess, ClusterReport, Discovery, Kinds};
use crate::commands::{self, CommandId, Hands, Ledger, Pool};
use crate::config::{Config, GitTransport, Place, Token};
use crate::delivery::{Delivery, DeliveryContext, RetryNeed};
use crate::environments::{self, Deliver, EnvironmentId, Environments, Obstacle, Pass, PassEnd, World};
use crate::health::Readiness;
use crate::releases;
use crate::session::{self, Credentials, Door, Inbox, Outgoing};
use crate::state::StateIndex;
use crate::streams::{ExecIs, Streams};
use crate::upgrade::Upgrades;

/// What has begun may end in this time; Kubernetes kills a pod 30 s after it asked it to stop.
const GRACE: Duration = Duration::from_secs(20);
/// The last words to the platform may take this long.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// When another copy may soon lead, what has begun is broken off.
const LOST_GRACE: Duration = Duration::from_secs(2);

/// What the start has made ready.
pub struct Ready {
    pub link: c7n_link::Config,
    pub door: Door,
    pub access: ClusterAccess,
    pub discovery: Discovery,
    pub credentials: Credentials,
    pub readiness: Readiness,
    /// Random, new with each start of the program.
    pub instance_id: String,
    pub memory: Memory,
}

/// What the folder says of environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// The newest that any copy knows: the agent goes on from it, also while the platform is away.
    Own,
    /// Another copy has led meanwhile: to go on from here could take back what it delivered. The platform is waited for.
    Overtaken,
}

/// Runs the agent until `shutdown`, or until this copy leads no longer.
pub async fn serve(
    config: Config,
    ready: Ready,
    shutdown: CancellationToken,
    lost: CancellationToken,
) -> anyhow::Result<()> {
    let Ready {
        link,
        door,
        access,
        discovery,
        credentials,
        readiness,
        instance_id,
        memory,
    } = ready;
    let data = config.data_dir.as_path();
    // Two stages: what works stops first, and its last words still reach the platform.
    let (line, lines) = (CancellationToken::new(), TaskTracker::new());
    let (work, works) = (shutdown.child_token(), TaskTracker::new());
    let outgoing = Outgoing::new(link);
    let report = ClusterReport::start(access.clone(), discovery.clone(), outgoing.clone()).await;
    works.spawn(discovery.clone().keep_fresh(work.clone()));
    works.spawn(report.clone().run(work.clone()));

    let state = StateIndex::new(
        access.client(),
        discovery.clone(),
        outgoing.clone(),
        &works,
        work.clone(),
    );
    let world = Ground {
        access: access.clone(),
        discovery: discovery.clone(),
        state: state.clone(),
        apply_permits: Arc::new(Semaphore::new(config.apply_concurrency)),
        git_transport: config.git_transport,
        // Git works in folders of its own.
        ca_file: config.ca_file.as_deref().map(std::path::absolute).transpose()?,
        plain_http: plain_http(&config.connect),
        credential: credentials.watch(),
    };
    let environments = Environments::new(
        world,
        outgoing.clone(),
        data.to_owned(),
        config.resync,
        works.clone(),
        work.clone(),
    );
    let restored = match memory {
        Memory::Own => environments
            .restore()
            .await
            .context("the saved environments cannot be read")?,
        Memory::Overtaken => 0,
    };
    if restored > 0 {
        tracing::info!(restored, "environments go on from disk");
    }

    let ledger = Ledger::open(&data.join("commands")).context("the ledger of commands cannot be read")?;
    let ground = releases::Ground {
        client: access.client(),
        discovery: discovery.clone(),
        directory: environments.directory(),
        state: state.clone(),
    };
    let orders = releases::start(&config, ground, credentials.watch(), &works, work.clone())
        .context("the controller of releases cannot be started")?;
    let hands = Hands::new(access.client(), discovery, environments.directory(), orders);
    let results = {
        let outgoing = outgoing.clone();
        Arc::new(move |id: &CommandId, result: &commands::OrderResult| {
            outgoing.post(Say::Result(commands::write(id.as_str(), result)));
        })
    };
    let pool = Pool::start(config.workers, ledger, hands, results, &works, work.clone());

    let own = access.own_namespace().zip(config.deployment.as_deref());
    let own = own.map(|(namespace, name)| Place {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    });
    let upgrades = Upgrades::new(
        access.client(),
        own,
        outgoing.clone(),
        works.clone(),
        work.clone(),
    );

    let directory = environments.directory();
    let streams = Streams::new(
        door.clone(),
        credentials.watch(),
        &access,
        Arc::new(move |id| directory.namespace(id)),
        if config.no_exec { ExecIs::Off } else { ExecIs::On },
        works.clone(),
        work.clone(),
    );

    let front = Front {
        upgrades,
        streams,
        instance_id,
        cluster_uid: access.uid().to_owned(),
        outgoing: outgoing.clone(),
        environments,
        state,
        report,
        pool,
    };
    lines.spawn(session::run(
        door,
        credentials,
        outgoing.clone(),
        front,
        readiness,
        line.clone(),
    ));

    let grace = tokio::select! {
        () = shutdown.cancelled() => {
            tracing::info!("the agent stops");
            GRACE
        }
        () = lost.cancelled() => {
            work.cancel();
            line.cancel();
            LOST_GRACE
        }
    };
    works.close();
    let ended = tokio::select! {
        ended = timeout(grace, works.wait()) => ended.is_ok(),
        // Also while it stops: nobody may write any more.
        () = lost.cancelled(), if !lost.is_cancelled() => false,
    };
    if !ended {
        tracing::warn!("something did not end in time; the next start repairs it");
    }
    if lost.is_cancelled() {
        return Ok(());
    }
    let said = async {
        while outgoing.is_connected() && outgoing.waiting() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let _ = timeout(LAST_WORDS, said).await;
    line.cancel();
    lines.close();
    let _ = timeout(LAST_WORDS * 2, lines.wait()).await;
    Ok(())
}

/// Who dials the platform without TLS has decided that the network is trusted.
fn plain_http(connect: &str) -> PlainHttp {
    if connect.starts_with("ws://") {
        PlainHttp::Allowed
    } else {
        PlainHttp::LoopbackOnly
    }
}

/// The cluster and the rest of the agent, as environments see them.
struct Ground {
    access: ClusterAccess,
    discovery: Discovery,
    state: StateIndex,
    apply_permits: Arc<Semaphore>,
    git_transport: GitTransport,
    ca_file: Option<PathBuf>,
    plain_http: PlainHttp,
    credential: watch::Receiver<Option<Token>>,
}

impl World for Ground {
    type Delivery = Delivery;

    async fn prepare_namespace(&self, spec: &EnvironmentSpec) -> Result<(), Obstacle> {
        environments::prepare_namespace(&self.access.client(), self.access.own_namespace(), spec).await
    }

    async fn clear(&self, spec: &EnvironmentSpec) -> Result<(), Obstacle> {
        environments::clear(&self.access.client(), &self.discovery, spec).await
    }

    fn remote(&self, spec: &EnvironmentSpec, private_key: &Path) -> Remote {
        match self.git_transport {
            GitTransport::Ssh => {
                let known_hosts = spec.ssh_host_keys.clone();
                Remote::new(
                    &spec.ssh_url,
                    Transport::Ssh {
                        private_key: private_key.to_owned(),
                        known_hosts,
                    },
                )
            }
            GitTransport::Http => {
                let credential = self.credential.borrow();
                let token = credential.as_ref().map_or("", Token::reveal);
                let transport = Transport::Http {
                    authorization: Secret::bearer(token),
                };
                Remote {
                    plain_http: self.plain_http,
                    ca_file: self.ca_file.clone(),
                    ..Remote::new(&spec.http_url, transport)
                }
            }
        }
    }

    fn watch(&self, id: &EnvironmentId, spec: &EnvironmentSpec) -> Arc<Notify> {
        self.state.environment_added(id, &spec.namespace)
    }

    fn unwatch(&self, id: &EnvironmentId) {
        self.state.environment_removed(id);
    }

    fn delivery(&self, _: &EnvironmentId, spec: &EnvironmentSpec) -> Delivery {
        let context = DeliveryContext {
            client: self.access.plain_client(),
            discovery: self.discovery.clone(),
            state: self.state.clone(),
            apply_permits: self.apply_permits.clone(),
        };
        Delivery::new(context, spec)
    }

    fn kinds(&self) -> watch::Receiver<Arc<Kinds>> {
        self.discovery.changes()
    }
}

impl Deliver for Delivery {
    async fn converge(
        &mut self,
        mirror: &Mirror,
        commit: CommitId,
        spec: &EnvironmentSpec,
        cancel: &CancellationToken,
    ) -> Pass {
        let converged = Box::pin(Delivery::converge(self, mirror, &commit, spec, cancel)).await;
        let end = match converged.retry {
            RetryNeed::Complete => PassEnd::Complete,
            RetryNeed::Waits => PassEnd::Waits,
            RetryNeed::Again => PassEnd::Failed,
        };
        Pass {
            report: converged.report,
            end,
        }
    }
}

/// Hands on what the platform says.
struct Front {
    instance_id: String,
    cluster_uid: String,
    outgoing: Outgoing,
    environments: Environments<Ground>,
    state: StateIndex,
    report: ClusterReport,
    pool: Pool,
    upgrades: Upgrades,
    streams: Streams,
}

impl Inbox for Front {
    async fn hello(&self) -> Hello {
        Hello {
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            features: c7n_link::features(),
            agent_version: env!("CARGO_PKG_VERSION").into(),
            instance_id: self.instance_id.clone(),
            cluster_uid: self.cluster_uid.clone(),
            cluster: Some(self.report.info()),
        }
    }

    async fn opened(&self, welcome: &Welcome) {
        self.environments.retain(&welcome.environments);
        self.report.session_opened();
        self.state.session_opened();
    }

    async fn deliver(&self, items: Vec<Say>) -> Result<(), String> {
        for item in items {
            match item {
                Say::Environment(spec) => self
                    .environments
                    .specified(spec)
                    .await
                    .map_err(|it| it.to_string())?,
                Say::Command(Command {
                    command_id,
                    action: Some(Action::UpgradeAgent(upgrade)),
                    ..
                }) => self.upgrades.ordered(command_id, upgrade),
                Say::Command(command) => self.ordered(command).await?,
                Say::Cancel(cancel) => {
                    if let Some(id) = CommandId::new(cancel.command_id)
                        && !self.pool.cancel(id).await
                    {
                        return Err("the agent stops".into());
                    }
                }
                Say::DetailRequest(request) => self.state.detail_requested(request),
                Say::ObjectRequest(request) => self.state.object_requested(request),
                Say::OpenStream(open) => self.streams.open(open),
                other => tracing::debug!(topic = ?other.topic(), "the platform says what only an agent says"),
            }
        }
        Ok(())
    }
}

impl Front {
    async fn ordered(&self, command: Command) -> Result<(), String> {
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        let id = command.command_id.clone();
        match commands::read(command, Instant::now(), i64::try_from(now_ms).unwrap_or(i64::MAX)) {
            Some(Ok(order)) => {
                if !self.pool.submit(order).await {
                    return Err("the agent stops".into());
                }
            }
            Some(Err(result)) => self.outgoing.post(Say::Result(commands::write(&id, &result))),
            None => tracing::error!("the platform sent a command without a usable id"),
        }
        Ok(())
    }
}
