//! Releases go before everything else: uninstalling them needs their namespace, and their objects a controller that is
//! still there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use c7n_link::messages::{EnvironmentSpec, Removal};
use c7n_manifests::labels;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::{Api, Client};
use serde_json::json;

use crate::cluster::{ClusterError, KindName, Kinds, deadline};
use crate::environments::namespace::obstacle;
use crate::environments::world::Obstacle;
use crate::releases::crd;

/// The controller gives up earlier; this is for when there is none that works.
const PATIENCE: Duration = Duration::from_secs(300);

type Release = PartialObjectMeta<DynamicObject>;

/// Asks for the deletion of the environment's releases; tells how many are still there. One that was made by hand, in a
/// namespace that stays, stays as well, as a plain release of Helm.
pub(super) async fn uninstall(
    client: &Client,
    kinds: &Kinds,
    spec: &EnvironmentSpec,
) -> Result<usize, Obstacle> {
    let name = KindName::new(crd::GROUP, crd::KIND);
    if kinds.in_version(&name, crd::VERSION).is_none() {
        return Ok(0);
    }
    let releases: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &spec.namespace, &crd::resource());
    let found = match deadline("releases", releases.list_metadata(&ListParams::default())).await {
        Ok(found) => found.items,
        Err(error) if error.is_status(403) || error.is_status(404) => return Ok(0),
        Err(error) => return Err(obstacle(error)),
    };
    let mut leaving = 0;
    for release in found {
        let goes = spec.removal() == Removal::DeleteNamespace || is_member(&release, spec);
        let outcome = if !goes || waited(&release) > PATIENCE {
            let_go(&releases, &release).await
        } else {
            leaving += 1;
            delete(&releases, &release).await
        };
        match outcome {
            Ok(()) => {}
            Err(error) if error.is_status(404) || error.is_status(409) => {}
            Err(error) => return Err(obstacle(error)),
        }
    }
    Ok(leaving)
}

fn is_member(release: &Release, spec: &EnvironmentSpec) -> bool {
    release.metadata.labels.as_ref().is_some_and(|known| {
        known.contains_key(labels::PART_OF) && known.get(labels::ENV) == Some(&spec.environment_id)
    })
}

/// How long the object has been waiting for its end.
fn waited(release: &Release) -> Duration {
    let Some(since) = &release.metadata.deletion_timestamp else {
        return Duration::ZERO;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = u64::try_from(since.0.as_millisecond()).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(since))
}

async fn delete(releases: &Api<DynamicObject>, release: &Release) -> Result<(), ClusterError> {
    let (Some(name), None) = (&release.metadata.name, &release.metadata.deletion_timestamp) else {
        return Ok(());
    };
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: release.metadata.uid.clone(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    deadline("a release to be deleted", releases.delete(name, &params))
        .await
        .map(drop)
}

/// Takes the finalizer away: nobody would do it later.
async fn let_go(releases: &Api<DynamicObject>, release: &Release) -> Result<(), ClusterError> {
    let before = release.metadata.finalizers.clone().unwrap_or_default();
    let (Some(name), true) = (
        &release.metadata.name,
        before.iter().any(|it| it == crd::FINALIZER),
    ) else {
        return Ok(());
    };
    let after: Vec<&String> = before.iter().filter(|it| *it != crd::FINALIZER).collect();
    let patch = json!({ "metadata": {
        "resourceVersion": release.metadata.resource_version,
        "finalizers": after,
    }});
    let params = PatchParams {
        field_manager: Some(crd::FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(&patch);
    deadline(
        "the finalizer of a release",
        releases.patch(name, &params, &patch),
    )
    .await
    .map(drop)
}
