//! Compares what is known of a kind with a fresh list of its metadata: a watch can be alive and mute, and can lie.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kube::api::ListParams;
use serde::Deserialize;
use tokio::time::sleep;

use super::index::{Index, Reach};
use super::observe::Version;
use super::page::read_page;
use super::watch::{Parts, Watched};
use crate::cluster::{KindName, Scope};

const PAGE: u32 = 1_000;
/// What the watch has not shown by then, it will not show.
const GRACE: Duration = Duration::from_secs(3);

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Metadata {
    namespace: String,
    name: String,
    resource_version: String,
}

type Place = (Arc<str>, Box<str>);

/// How many objects are not what they are taken for. The caller lists anew if there are any.
pub(super) async fn verify(watched: &Watched, reach: &Reach) -> usize {
    let Some((listed, at)) = list(watched, reach).await else {
        return 0;
    };
    let suspects = watched
        .shared
        .with(|index| suspects(index, &watched.name, reach, &listed, at));
    if suspects.is_empty() {
        return 0;
    }
    // Changes may be on their way.
    sleep(GRACE).await;
    let Some((listed, at)) = list(watched, reach).await else {
        return 0;
    };
    let still = watched.shared.with(|index| {
        let now = self::suspects(index, &watched.name, reach, &listed, at);
        suspects
            .iter()
            .filter(|(place, known)| now.get(*place) == Some(known))
            .count()
    });
    if still > 0 {
        watched.shared.healed.fetch_add(still as u64, Ordering::Relaxed);
        tracing::warn!(kind = %watched.name, objects = still, "a watch did not tell of changes; the kind is listed anew");
    }
    still
}

async fn list(watched: &Watched, reach: &Reach) -> Option<(HashMap<Place, Version>, Version)> {
    let homes = watched.shared.with(|index| index.homes());
    let mut params = ListParams::default().limit(PAGE);
    let mut listed = HashMap::new();
    loop {
        let text = watched.page(reach, &params, Parts::Metadata).await.ok()?;
        let page = read_page(&text, |item: Item| {
            let Metadata {
                namespace,
                name,
                resource_version,
            } = item.metadata;
            let namespace = match watched.info.scope {
                Scope::Cluster => Arc::from(""),
                Scope::Namespaced => match homes.by_namespace.get_key_value(namespace.as_str()) {
                    Some((namespace, _)) => namespace.clone(),
                    None => return,
                },
            };
            listed.insert((namespace, name.into()), Version::parse(&resource_version));
        });
        let page = page.ok()?;
        if page.next.is_empty() {
            return Some((listed, Version::parse(&page.resource_version)));
        }
        params.continue_token = Some(page.next);
    }
}

/// Objects that differ, with the version that they are known in.
fn suspects(
    index: &Index,
    name: &KindName,
    reach: &Reach,
    listed: &HashMap<Place, Version>,
    at: Version,
) -> HashMap<Place, Option<Version>> {
    let mut found = HashMap::new();
    let Some(kind) = index
        .kinds()
        .find(|(known, _)| *known == name)
        .map(|(_, kind)| kind)
    else {
        return found;
    };
    let reaches = |namespace: &str| match reach {
        Reach::Cluster => true,
        Reach::Namespace(only) => **only == *namespace,
    };
    for (namespace, objects) in kind.objects.iter().filter(|(namespace, _)| reaches(namespace)) {
        for (object, entry) in objects {
            let place = (namespace.clone(), object.clone());
            let lies = match listed.get(&place) {
                Some(version) => version.is_newer_than(entry.version) && version.0 != 0,
                None => entry.version.0 <= at.0,
            };
            if lies {
                found.insert(place, Some(entry.version));
            }
        }
    }
    // Of the whole cluster and of Events only some are kept, so that those that are not kept say nothing.
    if kind.info.scope == Scope::Namespaced && !super::observe::is_event(&kind.info) {
        let homes = index.homes();
        for place in listed.keys() {
            let covered = |environment: &str| kind.covered.contains(environment);
            let home = homes
                .by_namespace
                .get(&place.0)
                .filter(|home| covered(&home.environment));
            if home.is_some() && index.entry(name, &place.0, &place.1).is_none() {
                found.insert(place.clone(), None);
            }
        }
    }
    found
}
