//! What the promises stand on: a cluster, the engine, the real `helm`, charts on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use c7n_helm::storage::ReleaseStore;
use c7n_helm::{
    Chart, ClusterKinds, Conflicts, Deployment, Done, EngineError, HelmEngine, History, Install, Labels,
    OnFailure, Ownership, ReleaseId, Rollback, SpecDigest, Uninstall, Upgrade, WorkerEngine, WorkerOptions,
    Workloads,
};
use c7n_testbed::cluster::ClusterHandle;
use c7n_testbed::programs::{self, Program};
use c7n_testbed::stack::Kubectl;
use c7n_testbed::stack::charts::{ChartFolder, write};
use serde_json::Value;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a busy machine.
pub const TIME: Duration = Duration::from_secs(120);

#[derive(Clone)]
pub struct Ground {
    pub engine: Arc<WorkerEngine>,
    pub kubectl: Kubectl,
    pub kubeconfig: PathBuf,
    pub worker: PathBuf,
    pub store: ReleaseStore,
    pub client: kube::Client,
    pub real_node: bool,
    helm: PathBuf,
    /// What the promises of one lane write, and below it what belongs to all.
    folder: PathBuf,
    _top: Arc<tempfile::TempDir>,
}

impl Ground {
    /// The cluster that somebody has started for tests.
    pub async fn given() -> Result<Option<Self>> {
        let Some(kubeconfig) = std::env::var_os("C7N_TEST_KUBECONFIG_A") else {
            return Ok(None);
        };
        let kubectl = programs::ensure(Program::Kubectl).await?;
        Ok(Some(Self::with(&kubectl, Path::new(&kubeconfig)).await?))
    }

    pub async fn on(cluster: &ClusterHandle) -> Result<Self> {
        Self::with(cluster.kubectl_program(), &cluster.kubeconfig).await
    }

    async fn with(kubectl: &Path, kubeconfig: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("c7n-helm-").tempdir()?;
        let worker = programs::ensure(Program::HelmWorker).await?;
        let helm = programs::ensure(Program::Helm).await?;
        let kubectl = Kubectl::new(kubectl, kubeconfig, None);
        let nodes = kubectl.json(&["get", "nodes"]).await?;
        let real_node = nodes["items"].as_array().is_some_and(|nodes| {
            nodes
                .iter()
                .any(|node| node["metadata"]["annotations"]["kwok.x-k8s.io/node"].is_null())
        });
        let config = kube::Config::from_custom_kubeconfig(
            kube::config::Kubeconfig::read_from(kubeconfig)?,
            &kube::config::KubeConfigOptions::default(),
        )
        .await?;
        let client = kube::Client::try_from(config)?;
        let options = WorkerOptions::new(&worker, kubeconfig, folder.path().join("workers"));
        Ok(Self {
            engine: Arc::new(WorkerEngine::new(options)),
            store: ReleaseStore::new(client.clone()),
            client,
            kubectl,
            kubeconfig: kubeconfig.to_path_buf(),
            worker,
            real_node,
            helm,
            folder: folder.path().to_path_buf(),
            _top: Arc::new(folder),
        })
    }

    /// The same cluster for promises that are played beside others: an engine and a folder of their own.
    pub fn lane(&self, name: &str, processes: usize) -> Self {
        let folder = self.folder.join(name);
        let mut options = WorkerOptions::new(&self.worker, &self.kubeconfig, folder.join("workers"));
        options.processes = processes;
        Self {
            engine: Arc::new(WorkerEngine::new(options)),
            folder,
            ..self.clone()
        }
    }

    /// Options for an engine of a promise's own.
    pub fn options(&self, name: &str) -> WorkerOptions {
        WorkerOptions::new(&self.worker, &self.kubeconfig, self.folder.join(name))
    }

    /// A namespace of the promise's own, empty.
    pub async fn namespace(&self, name: &str) -> Result<String> {
        let namespace = format!("helm-{name}-{}", std::process::id());
        self.kubectl.run(&["create", "namespace", &namespace]).await?;
        Ok(namespace)
    }

    /// A fixture, packed.
    pub fn chart(&self, name: &str) -> Result<Chart> {
        self.pack(&ChartFolder::fixture(name)?)
    }

    pub fn pack(&self, chart: &ChartFolder) -> Result<Chart> {
        let archive = chart.pack()?;
        let folder = self.folder.join(&archive.digest()[..12]);
        std::fs::create_dir_all(&folder)?;
        Ok(Chart {
            archive: write(&archive, &folder)?,
        })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The real program, as a person would call it.
    pub async fn helm(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.helm)
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HELM_CACHE_HOME", self.folder.join("helm-cache"))
            .env("HELM_CONFIG_HOME", self.folder.join("helm-config"))
            .env("HELM_DATA_HOME", self.folder.join("helm-data"))
            .kill_on_drop(true)
            .output()
            .await
            .context("running helm")?;
        if !output.status.success() {
            bail!(
                "helm {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    pub async fn helm_json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(
            &self.helm(&[arguments, &["-o", "json"]].concat()).await?,
        )?)
    }

    pub async fn get(&self, namespace: &str, what: &str) -> Result<Value> {
        self.kubectl.json(&["get", "-n", namespace, what]).await
    }

    pub async fn is_there(&self, namespace: &str, what: &str) -> Result<bool> {
        Ok(self.kubectl.find(&["-n", namespace, what]).await?.is_some())
    }

    pub async fn install(&self, request: Install) -> Result<Done, EngineError> {
        self.engine.install(request, &CancellationToken::new()).await
    }

    pub async fn upgrade(&self, request: Upgrade) -> Result<Done, EngineError> {
        self.engine.upgrade(request, &CancellationToken::new()).await
    }

    pub async fn rollback(&self, id: &ReleaseId, revision: u32) -> Result<Done, EngineError> {
        let request = Rollback {
            id: id.clone(),
            revision,
            cluster_kinds: ClusterKinds::All,
            timeout: TIME,
            workloads: Workloads::AsAsked,
            conflicts: Conflicts::Report,
            on_failure: OnFailure::Keep,
        };
        self.engine.rollback(request, &CancellationToken::new()).await
    }

    pub async fn uninstall(&self, id: &ReleaseId, history: History) -> Result<Done, EngineError> {
        let request = Uninstall {
            id: id.clone(),
            history,
            timeout: TIME,
        };
        self.engine.uninstall(request, &CancellationToken::new()).await
    }
}

/// The commit of a test's `n`th change.
pub fn commit(n: u8) -> String {
    format!("{n:02x}").repeat(20)
}

pub fn install(id: &ReleaseId, chart: &Chart, values: &str) -> Install {
    Install {
        deployment: deployment(id, chart, values, 1),
        conflicts: Conflicts::Report,
    }
}

/// The same release with other values at the test's `n`th commit.
pub fn upgrade(id: &ReleaseId, chart: &Chart, values: &str, n: u8) -> Upgrade {
    Upgrade {
        deployment: deployment(id, chart, values, n),
        conflicts: Conflicts::Report,
        on_failure: OnFailure::Keep,
    }
}

fn deployment(id: &ReleaseId, chart: &Chart, values: &str, n: u8) -> Deployment {
    Deployment {
        id: id.clone(),
        chart: chart.clone(),
        values: values.into(),
        labels: Labels {
            environment: "env-1".into(),
            commit: commit(n),
        },
        cluster_kinds: ClusterKinds::All,
        spec_digest: SpecDigest::of(values),
        timeout: TIME,
        provenance: None,
        ownership: Ownership::Respect,
        workloads: Workloads::AsAsked,
    }
}
