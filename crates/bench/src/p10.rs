//! P10: releases installed through the engine, beside `helm install` by hand, in batches that take turns.
//!
//! The floor is what a person or a script does: one `helm install` after the other. The engine has two workers, as on a
//! machine with two cores, and is given a whole batch at once. Upgrades are measured in the same way, and what deciding
//! costs where nothing is to be done: reading a release's records, without Helm.
//!
//! Then the same releases through platform and agent, all in one push, beside the same floor; and what the agent and its
//! children take meanwhile.

mod through_agent;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use c7n_helm::storage::ReleaseStore;
use c7n_helm::{
    Chart, ClusterKinds, Conflicts, Deployment, HelmEngine, Install, Labels, OnFailure, Ownership, ReleaseId,
    SpecDigest, Upgrade, WorkerEngine, WorkerOptions, Workloads,
};
use c7n_testbed::programs::{self, Program};
use c7n_testbed::stack::charts::{self, ChartFolder};
use futures_util::future::try_join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::figures::{Times, milliseconds, report, round};
use crate::usage::resident_mb;
use through_agent::ThroughAgent;

const WORKERS: usize = 2;
const BATCH: usize = 10;
const TIME: Duration = Duration::from_secs(300);

pub async fn run(kubeconfig: &Path, releases: usize) -> Result<Value> {
    let stage = Stage::set(kubeconfig).await?;
    // Workers start, and the program's files come into the machine's cache.
    stage.ours("warm", 0..1, "").await?;
    stage.theirs("warm", 0..1, "").await?;

    let (installed, installed_floor) = stage.turns(releases, "message: one").await?;
    let (upgraded, upgraded_floor) = stage.turns(releases, "message: two").await?;
    let decided = stage.decide(releases.min(100)).await?;

    let mut result = report("p10", &installed, Some(&installed_floor));
    // The times are means over a batch.
    result["n"] = json!(releases);
    result["batch"] = json!(BATCH);
    result["workers"] = json!(WORKERS);
    result["upgrade_p50_ms"] = json!(round(upgraded.percentile(0.5)));
    result["upgrade_floor_p50_ms"] = json!(round(upgraded_floor.percentile(0.5)));
    result["upgrade_ratio"] = json!(round(upgraded.percentile(0.5) / upgraded_floor.percentile(0.5)));
    result["noop_p50_ms"] = json!(round(decided.percentile(0.5)));
    result["worker_mb"] = json!(round(stage.memory()));
    stage.engine.shut_down().await;
    if let (Some(result), Value::Object(more)) =
        (result.as_object_mut(), stage.through_agent(releases).await?)
    {
        result.extend(more);
    }
    stage.clear().await?;
    Ok(result)
}

struct Stage {
    engine: WorkerEngine,
    store: ReleaseStore,
    client: kube::Client,
    helm: PathBuf,
    kubeconfig: PathBuf,
    chart: PathBuf,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn set(kubeconfig: &Path) -> Result<Self> {
        let worker = programs::ensure(Program::HelmWorker).await?;
        let helm = programs::ensure(Program::Helm).await?;
        let folder = tempfile::Builder::new().prefix("c7n-bench-").tempdir()?;
        let chart = charts::write(&ChartFolder::fixture("web")?.pack()?, folder.path())?;
        let config = kube::Config::from_custom_kubeconfig(
            kube::config::Kubeconfig::read_from(kubeconfig)?,
            &kube::config::KubeConfigOptions::default(),
        )
        .await?;
        let client = kube::Client::try_from(config)?;
        for name in ["ours", "theirs"] {
            let namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
            Api::<Namespace>::all(client.clone())
                .create(&PostParams::default(), &namespace)
                .await?;
        }
        let mut options = WorkerOptions::new(worker, kubeconfig, folder.path().join("workers"));
        options.processes = WORKERS;
        Ok(Self {
            engine: WorkerEngine::new(options),
            store: ReleaseStore::new(client.clone()),
            client,
            helm,
            kubeconfig: kubeconfig.to_path_buf(),
            chart,
            folder,
        })
    }

    /// Batches of both in turn, each first every other time. The times are of one release.
    async fn turns(&self, releases: usize, values: &str) -> Result<(Times, Times)> {
        let (mut ours, mut theirs) = (Times::default(), Times::default());
        for (turn, first) in (0..releases).step_by(BATCH).enumerate() {
            let batch = first..(first + BATCH).min(releases);
            if turn % 2 == 0 {
                ours.push(self.ours("r", batch.clone(), values).await?);
                theirs.push(self.theirs("r", batch, values).await?);
            } else {
                theirs.push(self.theirs("r", batch.clone(), values).await?);
                ours.push(self.ours("r", batch, values).await?);
            }
        }
        Ok((ours, theirs))
    }

    /// All releases of a batch at once; the pool lets as many work as there are workers.
    async fn ours(&self, prefix: &str, batch: std::ops::Range<usize>, values: &str) -> Result<Duration> {
        let count = u32::try_from(batch.len())?;
        let begun = Instant::now();
        try_join_all(batch.map(|number| self.release(format!("{prefix}-{number}"), values))).await?;
        Ok(begun.elapsed() / count)
    }

    async fn release(&self, name: String, values: &str) -> Result<()> {
        let id = ReleaseId::new("ours", name);
        let cancel = CancellationToken::new();
        let deployment = Deployment {
            id,
            chart: Chart {
                archive: self.chart.clone(),
            },
            values: values.into(),
            labels: Labels {
                environment: "bench".into(),
                commit: "0123456789abcdef0123456789abcdef01234567".into(),
            },
            cluster_kinds: ClusterKinds::All,
            spec_digest: SpecDigest::of(values),
            timeout: TIME,
            provenance: None,
            ownership: Ownership::Respect,
            workloads: Workloads::AsAsked,
        };
        let conflicts = Conflicts::Report;
        let done = if values.contains("two") {
            let request = Upgrade {
                deployment,
                conflicts,
                on_failure: OnFailure::Keep,
            };
            self.engine.upgrade(request, &cancel).await?
        } else {
            let request = Install {
                deployment,
                conflicts,
            };
            self.engine.install(request, &cancel).await?
        };
        ensure!(done.revision > 0);
        Ok(())
    }

    /// By hand, one after the other.
    async fn theirs(&self, prefix: &str, batch: std::ops::Range<usize>, values: &str) -> Result<Duration> {
        let count = u32::try_from(batch.len())?;
        let verb = if values.contains("two") {
            "upgrade"
        } else {
            "install"
        };
        let file = self.folder.path().join("values.yaml");
        std::fs::write(&file, values)?;
        let begun = Instant::now();
        for number in batch {
            let output = Command::new(&self.helm)
                .args([verb, &format!("{prefix}-{number}")])
                .arg(&self.chart)
                .args(["--namespace", "theirs", "--values"])
                .arg(&file)
                .env("KUBECONFIG", &self.kubeconfig)
                // Its cache of the cluster's kinds stays from one call to the next, as with anybody.
                .env("HOME", self.folder.path())
                .output()
                .await
                .context("running helm")?;
            ensure!(
                output.status.success(),
                "helm {verb}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(begun.elapsed() / count)
    }

    /// All at once through the product, and one after the other by hand.
    async fn through_agent(&self, releases: usize) -> Result<Value> {
        let count = u32::try_from(releases)?;
        let agent = ThroughAgent::set(&self.kubeconfig, self.client.clone(), releases).await?;
        let mut result = json!({});
        for (name, values, revision) in [("install", "message: one", 1), ("upgrade", "message: two", 2)] {
            let ours = agent.push(values, revision).await?;
            let theirs = self.theirs("a", 0..releases, values).await? * count;
            result[format!("agent_{name}_ms")] = json!(milliseconds(ours));
            result[format!("agent_{name}_floor_ms")] = json!(milliseconds(theirs));
            result[format!("agent_{name}_ratio")] = json!(round(ours.as_secs_f64() / theirs.as_secs_f64()));
        }
        result["agent_noop_ms"] = json!(milliseconds(agent.push_nothing("message: two").await?));
        if let (Some(result), Value::Object(more)) = (result.as_object_mut(), agent.figures()) {
            result.extend(more);
        }
        agent.clear().await?;
        Ok(result)
    }

    /// What it costs to see that a release is as it should be.
    async fn decide(&self, releases: usize) -> Result<Times> {
        let wanted = SpecDigest::of("message: two");
        let mut times = Times::default();
        for number in 0..releases {
            let id = ReleaseId::new("ours", format!("r-{number}"));
            let begun = Instant::now();
            let heads = self.store.heads(&id).await?;
            let last = heads.last().context("it is installed")?;
            ensure!(last.spec_digest.as_ref() == Some(&wanted));
            times.push(begun.elapsed());
        }
        Ok(times)
    }

    /// Of the largest worker, in MB.
    fn memory(&self) -> f64 {
        self.engine
            .idle_workers()
            .into_iter()
            .map(resident_mb)
            .fold(0.0, f64::max)
    }

    async fn clear(&self) -> Result<()> {
        self.engine.shut_down().await;
        for name in ["ours", "theirs"] {
            Api::<Namespace>::all(self.client.clone())
                .delete(name, &DeleteParams::default())
                .await?;
        }
        Ok(())
    }
}
