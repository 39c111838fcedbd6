//! A chart as an instance: a new file, or what is there already with another chart, version or values.

use c7n_api::{ChartChoice, NewValues};
use c7n_manifests::edit::Edit;

use super::plan::Plan;
use super::release::{self, Chart, Release};
use super::snapshot::Snapshot;
use super::{DeployError, values};
use crate::catalogue::{ChartFacts, Facts};

pub struct Deploy {
    /// The chart's name unless said.
    pub instance: Option<String>,
    pub chart: ChartChoice,
    /// Secret with the credentials of the repository; what the description names already stays unless said.
    pub repo_secret: Option<String>,
    pub values: NewValues,
}

impl Deploy {
    pub(super) async fn plan(
        &self,
        snapshot: &Snapshot,
        facts: &ChartFacts,
        project_id: &str,
    ) -> Result<Plan, DeployError> {
        let chart = facts.resolve(project_id, &self.chart, None).await?;
        release::check_repository(&chart.repo_url, &chart.chart)?;
        if let Some(secret) = &self.repo_secret {
            release::check_secret(secret)?;
        }
        let instance = self.instance.as_deref().unwrap_or(&chart.chart);
        let now = Release::find(snapshot, instance)?;
        let values = values::changed(now.as_ref().map_or("", Release::values), &self.values)?;
        values::check(&values, &chart)?;
        let message = format!("Deploy {instance}: {} {}", chart.chart, chart.version);
        let plan = match now {
            Some(now) => {
                now.check()?;
                let mut edits = edits(&chart, &values, now.values());
                if let Some(secret) = &self.repo_secret {
                    edits.push(Edit::set(&["spec", "repoSecret"], secret.as_str()));
                }
                now.plan("deploy", &edits, message)?
            }
            None => {
                release::check_name(instance)?;
                let made_of = Chart {
                    repo_url: &chart.repo_url,
                    name: &chart.chart,
                    version: &chart.version,
                    repo_secret: self.repo_secret.as_deref(),
                };
                let document = release::document(instance, &made_of, &values);
                let file = release::file_of(instance);
                let content = release::content_with(snapshot, &file, instance, &document)?;
                Plan::of_file("deploy", &file, Some(content), message).of_instance(instance)
            }
        };
        Ok(plan.of_chart(&chart.chart, &chart.version))
    }
}

/// What changes in a description that is there.
pub(super) fn edits(chart: &Facts, values: &str, before: &str) -> Vec<Edit> {
    let mut edits = vec![
        Edit::set(&["spec", "chartName"], chart.chart.as_str()),
        Edit::set(&["spec", "chartVersion"], chart.version.as_str()),
        Edit::set(&["spec", "repoUrl"], chart.repo_url.as_str()),
    ];
    if values != before {
        edits.push(match values.is_empty() {
            true => Edit::remove(&["spec", "values"]),
            false => Edit::set(&["spec", "values"], values),
        });
    }
    edits
}
