//! Joins the parts and runs them until the agent ends.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use c7n_charts::{ChartClient, ChartClientOptions};
use c7n_helm::{WorkerEngine, WorkerOptions};
use kube::Client;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::controller::Controller;
use super::crd;
use super::hand::Hand;
use super::kubeconfig::WorkerKubeconfig;
use super::orders::Orders;
use super::own_repository::WithOwnRepository;
use super::program;
use super::source::ChartSource;
use super::watch::Watches;
use super::work;
use crate::cluster::{Discovery, KindName};
use crate::config::{Config, Token};
use crate::environments::Directory;
use crate::state::StateIndex;

/// An API server that is away is asked again this often.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The rest of the agent, as releases see it.
pub struct Ground {
    pub client: Client,
    pub discovery: Discovery,
    pub directory: Directory,
    pub state: StateIndex,
}

/// With real charts and real Helm.
pub fn start(
    config: &Config,
    ground: Ground,
    credential: watch::Receiver<Option<Token>>,
    tracker: &TaskTracker,
    shutdown: CancellationToken,
) -> anyhow::Result<Orders> {
    let data = std::path::absolute(&config.data_dir)?;
    let folder = data.join("helm");
    let kubeconfig = folder.join("kubeconfig");
    let file = WorkerKubeconfig::write(config, &kubeconfig)?;
    tracker.spawn(file.keep(shutdown.clone()));
    let program = program::find(config);
    program::warn_if_missing(&program);
    let options = WorkerOptions {
        processes: config.helm_workers,
        ..WorkerOptions::new(program, kubeconfig, folder.join("home"))
    };
    let engine = Arc::new(WorkerEngine::new(options));
    let extra_roots = match &config.ca_file {
        // The platform is a chart repository too.
        Some(path) => {
            std::fs::read(path).with_context(|| format!("{} cannot be read (--ca-file)", path.display()))?
        }
        None => Vec::new(),
    };
    let charts = ChartClient::new(ChartClientOptions {
        extra_roots,
        plain_http_registries: config.plain_http_registries.clone(),
        ..ChartClientOptions::new(data.join("charts"))
    })
    .context("the folder for charts cannot be used")?;
    let charts = WithOwnRepository::new(charts, &config.connect, credential);
    let (ending, workers) = (shutdown.clone(), engine.clone());
    tracker.spawn(async move {
        ending.cancelled().await;
        workers.shut_down().await;
    });
    Ok(keep(
        ground,
        engine,
        Arc::new(charts),
        &folder,
        config.helm_workers,
        tracker,
        shutdown,
    ))
}

/// With whatever engine and source: for tests as well.
pub fn keep(
    ground: Ground,
    engine: Arc<dyn c7n_helm::HelmEngine>,
    source: Arc<dyn ChartSource>,
    folder: &Path,
    at_once: usize,
    tracker: &TaskTracker,
    shutdown: CancellationToken,
) -> Orders {
    work::clear_keyrings(folder);
    let eyes = ground.state.eyes();
    let hand = Arc::new(Hand {
        client: ground.client.clone(),
        discovery: ground.discovery.clone(),
        directory: ground.directory.clone(),
        table: Arc::default(),
        engine,
        source,
        permits: Semaphore::new(at_once),
        folder: folder.to_owned(),
        began: Instant::now(),
        taken_back: Mutex::default(),
        state: ground.state,
        told_kinds: Mutex::default(),
    });
    let watches = Watches {
        client: ground.client.clone(),
        discovery: ground.discovery.clone(),
        directory: ground.directory,
        table: hand.table.clone(),
    };
    let (controller, line) = Controller::new(hand, eyes, shutdown.clone());
    tracker.spawn(define(ground.client, ground.discovery, shutdown.clone()));
    tracker.spawn(watches.run(shutdown));
    tracker.spawn(controller.run());
    Orders::new(line)
}

/// Brings the definition into the cluster, or says who has to.
async fn define(client: Client, discovery: Discovery, shutdown: CancellationToken) {
    let name = KindName::new(crd::GROUP, crd::KIND);
    loop {
        match crd::install(&client).await {
            Ok(()) => {
                if let Err(error) = discovery.refresh().await {
                    tracing::debug!(%error, "the kinds cannot be asked for yet");
                }
                return;
            }
            Err(error) if error.is_status(403) => {
                // An older definition serves as well as the fields that it knows.
                if discovery.kinds().in_version(&name, crd::VERSION).is_none() {
                    tracing::warn!(
                        "this agent may not install the definition of C7NHelmRelease, and there is none: no release is kept. \
                         Have an administrator apply crds/c7nhelmreleases.yaml of the chart choerodon-cluster-agent"
                    );
                }
                return;
            }
            Err(error) => tracing::warn!(%error, "the definition of C7NHelmRelease cannot be installed yet"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(ASK_AGAIN) => {}
        }
    }
}
