//! The same through the whole product: a hundred `C7NHelmRelease`s in one push, until the last is deployed; then all of them
//! changed; then a push that changes nothing of them, which must cost no call of Helm.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use c7n_testbed::stack::charts::ChartFolder;
use c7n_testbed::stack::{ChartServer, WorkingCopy};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use serde_json::{Value, json};

use crate::figures::round;
use crate::stage::Stage;
use crate::usage::Usage;

const PATIENCE: Duration = Duration::from_secs(900);
/// Between two looks; little beside what is measured.
const PERIOD: Duration = Duration::from_millis(200);
const NAME: &str = "p10";

pub struct ThroughAgent {
    stage: Stage,
    copy: WorkingCopy,
    charts: ChartServer,
    objects: Api<DynamicObject>,
    records: Api<Secret>,
    usage: Usage,
    releases: usize,
}

impl ThroughAgent {
    pub async fn set(kubeconfig: &Path, client: kube::Client, releases: usize) -> Result<Self> {
        let stage = Stage::set(kubeconfig).await?;
        let charts = ChartServer::start().await?;
        charts.put_charts(&[ChartFolder::fixture("web")?.pack()?]);
        let (environment, copy) = stage.create(NAME).await?;
        let usage = Usage::of(stage.agent_pid()?);
        let kind = ApiResource {
            group: "choerodon.io".into(),
            version: "v1alpha1".into(),
            api_version: "choerodon.io/v1alpha1".into(),
            kind: "C7NHelmRelease".into(),
            plural: "c7nhelmreleases".into(),
        };
        Ok(Self {
            objects: Api::namespaced_with(client.clone(), &environment.namespace, &kind),
            records: Api::namespaced(client, &environment.namespace),
            stage,
            copy,
            charts,
            usage,
            releases,
        })
    }

    /// From the return of the push until all are deployed as this revision.
    pub async fn push(&self, values: &str, revision: u64) -> Result<Duration> {
        self.write(values, "")?;
        self.copy.commit(&format!("All of them: {values}")).await?;
        self.copy.push().await?;
        let pushed = Instant::now();
        loop {
            let found = self.objects.list(&ListParams::default()).await?;
            let done = found
                .items
                .iter()
                .filter(|object| {
                    let status = &object.data["status"];
                    status["phase"] == "Deployed"
                        && status["revision"] == revision
                        && status["observedGeneration"] == json!(object.metadata.generation)
                })
                .count();
            if done == self.releases {
                return Ok(pushed.elapsed());
            }
            if pushed.elapsed() > PATIENCE {
                let mut troubles = found
                    .items
                    .iter()
                    .filter_map(|object| object.data["status"]["lastError"].as_str());
                let last = troubles.next_back().unwrap_or("no error is told");
                bail!(
                    "{done} of {} releases are deployed after {PATIENCE:?}: {last}",
                    self.releases
                );
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// A push that says the same in other words, until it is delivered.
    pub async fn push_nothing(&self, values: &str) -> Result<Duration> {
        let before = self.records().await?;
        self.write(values, "# said otherwise\n")?;
        let commit = self.copy.commit("Comments").await?;
        self.copy.push().await?;
        let pushed = Instant::now();
        self.stage.converges(NAME, &commit).await?;
        let took = pushed.elapsed();
        ensure!(
            self.records().await? == before,
            "nothing was to be done, and Helm has written"
        );
        Ok(took)
    }

    pub fn figures(&self) -> Value {
        let used = self.usage.so_far();
        json!({
            "agent_cpu_s": round(used.cpu_s),
            "agent_peak_mb": round(used.peak_mb),
            "agent_children_cpu_s": round(used.children_cpu_s),
            "agent_children_peak_mb": round(used.children_peak_mb),
        })
    }

    pub async fn clear(self) -> Result<()> {
        drop(self.charts);
        self.stage.clear().await
    }

    fn write(&self, values: &str, comment: &str) -> Result<()> {
        let url = self.charts.url();
        for number in 0..self.releases {
            let text = format!(
                "{comment}apiVersion: choerodon.io/v1alpha1\nkind: C7NHelmRelease\nmetadata:\n  name: a-{number}\nspec:\n  \
                 chartName: web\n  chartVersion: 1.0.0\n  repoUrl: {url}\n  values: |\n    {values}\n"
            );
            self.copy.write(&format!("releases/a-{number}.yaml"), &text)?;
        }
        Ok(())
    }

    /// Names and versions of Helm's records: whatever Helm does changes them.
    async fn records(&self) -> Result<Vec<(String, String)>> {
        let found = self
            .records
            .list_metadata(&ListParams::default().labels("owner=helm"))
            .await?;
        let mut all = found
            .items
            .into_iter()
            .map(|secret| Some((secret.metadata.name?, secret.metadata.resource_version?)))
            .collect::<Option<Vec<_>>>()
            .context("a record has no name")?;
        all.sort();
        Ok(all)
    }
}
