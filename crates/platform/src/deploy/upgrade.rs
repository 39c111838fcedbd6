//! Another version of an instance's chart, with the instance's values carried along.

use c7n_api::{ChartChoice, NewValues, OnConflict};

use super::plan::Plan;
use super::release::Release;
use super::snapshot::Snapshot;
use super::{DeployError, instance, release, values};
use crate::catalogue::{ChartFacts, FactsError};

pub struct Upgrade {
    pub instance: String,
    pub chart: ChartChoice,
    pub values: NewValues,
    pub conflicts: OnConflict,
}

impl Upgrade {
    pub(super) async fn plan(
        &self,
        snapshot: &Snapshot,
        facts: &ChartFacts,
        project_id: &str,
    ) -> Result<Plan, DeployError> {
        let now = Release::existing(snapshot, &self.instance)?;
        let place = (now.repo_url(), now.chart_name());
        let new = facts.resolve(project_id, &self.chart, Some(place)).await?;
        release::check_repository(&new.repo_url, &new.chart)?;
        let old = ChartChoice {
            version: Some(now.chart_version().to_owned()),
            ..ChartChoice::default()
        };
        // A version that is no more to be had has no defaults to compare with: then the values go along as they are.
        let old = match facts.resolve(project_id, &old, Some(place)).await {
            Ok(old) => Some(old),
            Err(FactsError::Store(error)) => return Err(error.into()),
            Err(error) => {
                tracing::info!(instance = self.instance, %error, "an upgrade without the defaults of the version before");
                None
            }
        };
        let mine = values::changed(now.values(), &self.values)?;
        let (values, conflicts) = match &old {
            Some(old) => values::carried_over(old, &new, &mine)?,
            None => (mine, Vec::new()),
        };
        values::check(&values, &new)?;
        let message = format!(
            "Upgrade {} from {} to {}",
            self.instance,
            now.chart_version(),
            new.version
        );
        let mut plan = now
            .plan("upgrade", &instance::edits(&new, &values, now.values()), message)?
            .of_chart(&new.chart, &new.version);
        plan.conflicts = conflicts;
        plan.conflicts_accepted = self.conflicts == OnConflict::KeepMine;
        Ok(plan)
    }
}
