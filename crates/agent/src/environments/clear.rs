//! Takes an environment out of the cluster: its namespace as a whole, or object by object.
//!
//! Objects are found by their labels, in every kind that the cluster knows, so that nothing is left behind whose file
//! or kind has since been forgotten. A namespace that the agent did not make is never deleted. Releases go first: what
//! Helm made is Helm's to remove.

mod releases;

use c7n_link::messages::{EnvironmentSpec, Removal};
use c7n_manifests::labels;
use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, DynamicObject, ListParams, Preconditions, PropagationPolicy};
use kube::{Api, Client};

use super::namespace::{CREATED_BY, obstacle, release};
use super::world::Obstacle;
use crate::cluster::{Discovery, KindInfo, Scope, deadline};

/// Kinds that are looked through at once.
const AT_ONCE: usize = 8;

/// Goes well when nothing of the environment is left; to be repeated until then.
pub async fn clear(client: &Client, discovery: &Discovery, spec: &EnvironmentSpec) -> Result<(), Obstacle> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = deadline("a namespace", namespaces.get_opt(&spec.namespace))
        .await
        .map_err(obstacle)?;
    let ours = found.as_ref().is_some_and(|found| {
        found
            .metadata
            .labels
            .as_ref()
            .and_then(|known| known.get(labels::ENV))
            == Some(&spec.environment_id)
    });
    let made_here = found.as_ref().is_some_and(|found| {
        found
            .metadata
            .annotations
            .as_ref()
            .is_some_and(|known| known.contains_key(CREATED_BY))
    });
    let kinds = discovery.refresh().await.map_err(obstacle)?;
    let deletable = |scope| {
        let kinds = kinds
            .iter()
            .filter(move |(_, info)| info.scope == scope && info.can("list") && info.can("delete"));
        kinds.map(|(_, info)| info.clone()).collect::<Vec<KindInfo>>()
    };
    if ours {
        let leaving = releases::uninstall(client, &kinds, spec).await?;
        if leaving > 0 {
            return Err(Obstacle(format!("{leaving} releases are being uninstalled")));
        }
    }
    let across = delete_members(client, spec, deletable(Scope::Cluster)).await?;

    if ours && made_here && spec.removal() == Removal::DeleteNamespace {
        let uid = found.as_ref().and_then(|found| found.metadata.uid.clone());
        delete_namespace(&namespaces, &spec.namespace, uid).await?;
        return Err(Obstacle(format!(
            "the namespace {} is being deleted",
            spec.namespace
        )));
    }
    let inside = if ours {
        delete_members(client, spec, deletable(Scope::Namespaced)).await?
    } else {
        0
    };
    if across + inside > 0 {
        return Err(Obstacle(format!("{} objects are being deleted", across + inside)));
    }
    if ours {
        forget_inventory(client, spec).await?;
        release(client, spec).await?;
    }
    Ok(())
}

/// Deletes the members of the environment's ApplySet; tells how many there were.
async fn delete_members(
    client: &Client,
    spec: &EnvironmentSpec,
    kinds: Vec<KindInfo>,
) -> Result<usize, Obstacle> {
    // Both labels: what inherits the environment's from a template goes with its owner.
    let selector = format!("{},{}={}", labels::PART_OF, labels::ENV, spec.environment_id);
    let found: Vec<usize> = stream::iter(kinds)
        .map(|kind| delete_of_kind(client, spec, kind, selector.clone()))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(found.into_iter().sum())
}

async fn delete_of_kind(
    client: &Client,
    spec: &EnvironmentSpec,
    kind: KindInfo,
    selector: String,
) -> Result<usize, Obstacle> {
    let objects: Api<DynamicObject> = match kind.scope {
        Scope::Namespaced => Api::namespaced_with(client.clone(), &spec.namespace, &kind.resource),
        Scope::Cluster => Api::all_with(client.clone(), &kind.resource),
    };
    let wished = ListParams::default().labels(&selector);
    let members = match deadline("members of an environment", objects.list_metadata(&wished)).await {
        Ok(members) => members.items,
        // A kind that this agent may not list holds nothing that it has made; one that has gone holds nothing at all.
        Err(error) if error.is_status(403) || error.is_status(404) || error.is_status(405) => return Ok(0),
        Err(error) => return Err(obstacle(error)),
    };
    for member in &members {
        let (Some(name), None) = (&member.metadata.name, &member.metadata.deletion_timestamp) else {
            continue;
        };
        let uid = member.metadata.uid.clone();
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions {
                uid,
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match deadline("an object to be deleted", objects.delete(name, &params)).await {
            Ok(_) => {}
            Err(error) if error.is_status(404) || error.is_status(409) => {}
            Err(error) => return Err(obstacle(error)),
        }
    }
    Ok(members.len())
}

async fn delete_namespace(
    namespaces: &Api<Namespace>,
    name: &str,
    uid: Option<String>,
) -> Result<(), Obstacle> {
    let preconditions = Some(Preconditions {
        uid,
        resource_version: None,
    });
    let params = DeleteParams {
        preconditions,
        ..DeleteParams::default()
    };
    match deadline("a namespace to be deleted", namespaces.delete(name, &params)).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_status(404) || error.is_status(409) => Ok(()),
        Err(error) => Err(obstacle(error)),
    }
}

/// The parent of the ApplySet goes last: as long as it is there, members may be.
async fn forget_inventory(client: &Client, spec: &EnvironmentSpec) -> Result<(), Obstacle> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &spec.namespace);
    let parents = ListParams::default().labels(labels::APPLYSET_ID);
    let parents = deadline("the inventory of an environment", secrets.list_metadata(&parents))
        .await
        .map_err(obstacle)?;
    let tooling = |annotations: &std::collections::BTreeMap<String, String>| {
        annotations
            .get(labels::APPLYSET_TOOLING)
            .is_some_and(|tool| tool.starts_with(labels::FIELD_MANAGER))
    };
    for parent in parents.items {
        let (Some(name), true) = (
            &parent.metadata.name,
            parent.metadata.annotations.as_ref().is_some_and(tooling),
        ) else {
            continue;
        };
        match deadline(
            "the inventory to be deleted",
            secrets.delete(name, &DeleteParams::default()),
        )
        .await
        {
            Ok(_) => {}
            Err(error) if error.is_status(404) => {}
            Err(error) => return Err(obstacle(error)),
        }
    }
    Ok(())
}
