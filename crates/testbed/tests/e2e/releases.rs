//! Helm releases through the whole product: `C7NHelmRelease` files are pushed, charts come from a repository on this
//! machine, and plain `helm` is the witness.

mod bombs;
mod drift;
mod failures;
mod instances;
mod kills;
mod lifecycle;
mod orders;
mod registries;
mod revisions;
mod secrets;
mod shapes;
mod signatures;
mod stop;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use c7n_testbed::programs::{self, Program};
use c7n_testbed::stack::charts::{ChartFolder, Packed};
use c7n_testbed::stack::{ChartServer, eventually};
use serde_json::Value;
use tokio::process::Command;

use crate::stand::{PATIENCE, Stand, StandEnvironment, TestCluster, config_map};

/// A platform with one environment, and a chart repository with the chart `web` in three versions.
pub struct Scene {
    pub stand: Stand,
    pub environment: StandEnvironment,
    pub charts: ChartServer,
    published: Mutex<Vec<Packed>>,
    helm: PathBuf,
}

/// The wish of a file.
#[derive(Clone)]
pub struct Wish {
    name: String,
    chart: String,
    version: String,
    values: String,
    /// Where the chart is to come from, if not from the scene's own repository.
    repository: Option<String>,
    /// Further lines of the spec.
    more: String,
}

impl Wish {
    pub fn new(name: &str, chart: &str, version: &str) -> Self {
        Self {
            name: name.into(),
            chart: chart.into(),
            version: version.into(),
            values: String::new(),
            repository: None,
            more: String::new(),
        }
    }

    pub fn values(mut self, values: &str) -> Self {
        self.values = values.into();
        self
    }

    pub fn at(mut self, repository: &str) -> Self {
        self.repository = Some(repository.into());
        self
    }

    pub fn with(mut self, line: &str) -> Self {
        self.more.push_str(&format!("  {line}\n"));
        self
    }

    fn file(&self, repository: &str) -> String {
        let repository = self.repository.as_deref().unwrap_or(repository);
        let values: String = self.values.lines().map(|line| format!("    {line}\n")).collect();
        let values = match values.as_str() {
            "" => String::new(),
            lines => format!("  values: |\n{lines}"),
        };
        format!(
            "apiVersion: choerodon.io/v1alpha1\nkind: C7NHelmRelease\nmetadata:\n  name: {}\nspec:\n  chartName: {}\n  \
             chartVersion: {}\n  repoUrl: {repository}\n{values}{}",
            self.name, self.chart, self.version, self.more
        )
    }
}

impl Scene {
    pub async fn new(name: &str) -> Result<Self> {
        Self::on(Stand::with_cluster(name).await?).await
    }

    /// On a stand whose cluster has joined.
    pub async fn on(stand: Stand) -> Result<Self> {
        let environment = stand.environment("staging").await?;
        // Something stays, so that the removal of a release is no emptied repository.
        environment
            .copy
            .write("ground.yaml", &config_map("ground", "k", "v"))?;
        let commit = environment.copy.publish("Ground").await?;
        stand.converges("staging", &commit).await?;
        let scene = Self {
            stand,
            environment,
            charts: ChartServer::start().await?,
            published: Mutex::default(),
            helm: programs::ensure(Program::Helm).await?,
        };
        let web = ChartFolder::fixture("web")?;
        for version in ["1.0.0", "1.1.0", "2.0.0"] {
            scene.serve(web.clone().at_version(version)?.pack()?);
        }
        Ok(scene)
    }

    pub fn publish(&self, chart: &str) -> Result<()> {
        self.serve(ChartFolder::fixture(chart)?.pack()?);
        Ok(())
    }

    fn serve(&self, chart: Packed) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.push(chart);
        self.charts.put_charts(&published);
    }

    /// A chart whose pods must really run: not on a played node, which takes only what tolerates it. `false` where there
    /// is no real node, and then the test cannot be run.
    pub async fn publish_for_real(&self, chart: &str, template: &str) -> Result<bool> {
        let nodes = self.environment.kubectl.json(&["get", "nodes"]).await?;
        let is_real = |node: &Value| node["metadata"]["labels"]["type"] != "kwok";
        if !nodes["items"]
            .as_array()
            .is_some_and(|nodes| nodes.iter().any(is_real))
        {
            eprintln!("NOT RUN: needs a real node");
            return Ok(false);
        }
        let path = format!("templates/{template}");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts").join(chart);
        let text = std::fs::read_to_string(folder.join(&path))?;
        let without: Vec<&str> = text
            .lines()
            .filter(|line| !matches!(line.trim(), "tolerations:" | "- operator: Exists"))
            .collect();
        let chart = ChartFolder::fixture(chart)?.with(&path, without.join("\n") + "\n");
        self.serve(chart.pack()?);
        Ok(true)
    }

    /// As an autoscaler does it.
    pub async fn scale_as(&self, manager: &str, deployment: &str, replicas: u32) -> Result<()> {
        let patch = format!(r#"{{"spec":{{"replicas":{replicas}}}}}"#);
        self.kubectl(&[
            "patch",
            "deployment",
            deployment,
            "--subresource=scale",
            "--type=merge",
            "-p",
            &patch,
            "--field-manager",
            manager,
        ])
        .await
        .map(drop)
    }

    /// Writes the files, pushes them, and waits until they are applied.
    pub async fn push(&self, wishes: &[&Wish], message: &str) -> Result<String> {
        for wish in wishes {
            let file = format!("{}.yaml", wish.name);
            self.environment
                .copy
                .write(&file, &wish.file(&self.charts.url()))?;
        }
        let commit = self.environment.copy.publish(message).await?;
        self.stand.converges("staging", &commit).await?;
        Ok(commit)
    }

    pub async fn remove(&self, name: &str) -> Result<()> {
        self.environment.copy.remove(&format!("{name}.yaml"))?;
        self.environment.copy.publish(&format!("Remove {name}")).await?;
        Ok(())
    }

    pub async fn release(&self, name: &str) -> Result<Value> {
        self.environment.get("c7nhelmrelease", name).await
    }

    /// Waits until the status of the release is as it is asked for.
    pub async fn becomes(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
        eventually(
            &format!("release {name} becomes {what}"),
            PATIENCE * 2,
            || async {
                let release = self.release(name).await?;
                ensure!(is(&release["status"]), "its status is {}", release["status"]);
                Ok(release["status"].clone())
            },
        )
        .await
        .map_err(|error| self.stand.explain(error))
    }

    /// Deployed as this revision, and seen in its newest generation.
    pub async fn deployed(&self, name: &str, revision: u64) -> Result<Value> {
        eventually(
            &format!("release {name} is deployed as revision {revision}"),
            PATIENCE * 2,
            || async {
                let release = self.release(name).await?;
                let status = &release["status"];
                ensure!(
                    status["phase"] == "Deployed"
                        && status["revision"] == revision
                        && status["observedGeneration"] == release["metadata"]["generation"],
                    "its status is {status}"
                );
                Ok(status.clone())
            },
        )
        .await
        .map_err(|error| self.stand.explain(error))
    }

    /// Plain `helm` in the environment's namespace.
    pub async fn helm(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.helm)
            .arg("--kubeconfig")
            .arg(TestCluster::A.kubeconfig()?)
            .args(["--namespace", &self.environment.namespace])
            .args(arguments)
            .env("HELM_CACHE_HOME", self.stand.folder().join("helm-cache"))
            .env("HELM_CONFIG_HOME", self.stand.folder().join("helm-config"))
            .env("HELM_DATA_HOME", self.stand.folder().join("helm-data"))
            .kill_on_drop(true)
            .output()
            .await
            .context("running helm")?;
        ensure!(
            output.status.success(),
            "helm {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// A Secret in the environment's namespace, made by hand and with none of its values in an argument.
    pub async fn put_secret(&self, name: &str, values: &[(&str, &[u8])]) -> Result<()> {
        self.environment.put_secret(name, values).await
    }

    /// Failed, as the answer to the newest generation.
    pub async fn failed(&self, name: &str) -> Result<Value> {
        eventually(&format!("release {name} has failed"), PATIENCE * 2, || async {
            let release = self.release(name).await?;
            let status = &release["status"];
            ensure!(
                status["phase"] == "Failed"
                    && status["observedGeneration"] == release["metadata"]["generation"],
                "its status is {status}"
            );
            Ok(status.clone())
        })
        .await
        .map_err(|error| self.stand.explain(error))
    }

    /// Revision and status of each entry of `helm history`.
    pub async fn history(&self, name: &str) -> Result<Vec<(u64, String)>> {
        let text = self.helm(&["history", name, "-o", "json"]).await?;
        let entries: Vec<Value> = serde_json::from_str(&text)?;
        Ok(entries
            .iter()
            .map(|entry| {
                let status = entry["status"].as_str().unwrap_or_default().to_owned();
                (entry["revision"].as_u64().unwrap_or_default(), status)
            })
            .collect())
    }

    /// The names in `helm ls`.
    pub async fn listed(&self) -> Result<Vec<String>> {
        let text = self.helm(&["ls", "-o", "json"]).await?;
        let entries: Vec<Value> = serde_json::from_str(&text)?;
        Ok(entries
            .iter()
            .map(|entry| entry["name"].as_str().unwrap_or_default().to_owned())
            .collect())
    }

    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let namespace = ["-n", self.environment.namespace.as_str()];
        self.environment
            .kubectl
            .run(&[namespace.as_slice(), arguments].concat())
            .await
    }

    /// How often the agent began an operation of Helm.
    pub fn operations(&self) -> Result<usize> {
        let log = std::fs::read_to_string(self.stand.agents[0].log())?;
        let began = |line: &&str| {
            line.contains("c7n_agent::releases")
                && [" installing ", " upgrading ", " rolling back ", " uninstalling "]
                    .iter()
                    .any(|word| line.contains(word))
        };
        Ok(log.lines().filter(began).count())
    }
}
