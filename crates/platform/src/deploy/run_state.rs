//! Stop: scaled to nothing, and remembered how large it was. Start: as it was before.

use c7n_manifests::edit::Edit;

use super::DeployError;
use super::plan::Plan;
use super::release::Release;
use super::snapshot::Snapshot;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    Started,
    Stopped,
}

pub(super) fn plan(snapshot: &Snapshot, instance: &str, to: RunState) -> Result<Plan, DeployError> {
    let release = Release::existing(snapshot, instance)?;
    const STOPPED: [&str; 2] = ["spec", "stopped"];
    let plan = match to {
        RunState::Stopped => release.plan("stop", &[Edit::set(&STOPPED, true)], format!("Stop {instance}")),
        // Away with it: the file is what it was before the stop.
        RunState::Started => release.plan("start", &[Edit::remove(&STOPPED)], format!("Start {instance}")),
    }?;
    Ok(plan.of_chart(release.chart_name(), release.chart_version()))
}
