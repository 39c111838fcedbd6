//! Away with an instance: its document, or the whole file where it is alone in it.

use c7n_manifests::edit::{Remainder, remove_document};

use super::DeployError;
use super::plan::Plan;
use super::release::Release;
use super::snapshot::Snapshot;

pub(super) fn plan(snapshot: &Snapshot, instance: &str) -> Result<Plan, DeployError> {
    let release = Release::existing(snapshot, instance)?;
    let left = match remove_document(release.file, release.bytes, release.document)? {
        Remainder::Text(text) => Some(text),
        Remainder::Nothing => None,
    };
    let plan = Plan::of_file("delete", release.file, left, format!("Delete {instance}"));
    Ok(plan.of_instance(instance))
}
