//! What lives of an environment: from the state index where that knows, asked for where it does not.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use c7n_manifests::{Drift, Live, Object, ObjectId, Ownership, labels};
use kube::Resource;
use kube::api::{DynamicObject, ListParams, Request};
use serde_json::Value;
use tokio::time::timeout;

use super::apply::{CALL_DEADLINE, Hand, covers, kind_of};
use super::failure::Failure;
use crate::cluster::{KindInfo, KindName, Scope};
use crate::state::{Fields, Sighting, sighting};

/// A first list of a kind is waited for so long; then the kind is asked for.
const PATIENCE: Duration = Duration::from_secs(3);
const PAGE: u32 = 500;

/// Sees what lives. `waited` remembers the kinds that were waited for, so that one which is never known costs its time
/// once.
pub async fn see(
    hand: &Hand<'_>,
    wanted: &[Object],
    inventory: &BTreeSet<KindName>,
    waited: &mut BTreeSet<KindName>,
) -> Result<Vec<Live>, Failure> {
    let mut names: BTreeMap<KindName, HashSet<&str>> = BTreeMap::new();
    for object in wanted {
        names
            .entry(kind_of(&object.id))
            .or_default()
            .insert(&object.id.name);
    }
    let kinds = hand.discovery.kinds();
    let concerned: BTreeSet<KindName> = names.keys().chain(inventory).cloned().collect();
    let served: BTreeMap<&KindName, &KindInfo> = concerned
        .iter()
        .filter_map(|kind| Some((kind, kinds.preferred(kind)?)))
        .collect();
    hand.state.watch_kinds(served.keys().map(|kind| (*kind).clone()));
    let fresh: BTreeSet<KindName> = served
        .iter()
        .filter(|(kind, info)| info.can("watch") && waited.insert((**kind).clone()))
        .map(|(kind, _)| (*kind).clone())
        .collect();
    hand.state.known(hand.environment, &fresh, PATIENCE).await;

    let known = hand.state.look(hand.environment, &names);
    let mut seen = known.sightings;
    for (kind, info) in &served {
        let asked = names.get(*kind);
        if !known.covered.contains(*kind) {
            list(hand, kind, info, asked, &mut seen).await?;
        } else if info.scope == Scope::Cluster
            && let Some(asked) = asked
        {
            // The index keeps only what is this environment's: another may have the name.
            let there: HashSet<String> = seen
                .iter()
                .filter(|it| kind_of(&it.live.id) == **kind)
                .map(|it| it.live.id.name.clone())
                .collect();
            for name in asked.iter().filter(|name| !there.contains(**name)) {
                get(hand, kind, info, name, &mut seen).await?;
            }
        }
    }
    Ok(judge(hand, wanted, seen))
}

/// Compares what is owned with what is wanted, and remembers where that is well.
fn judge(hand: &Hand<'_>, wanted: &[Object], seen: Vec<Sighting>) -> Vec<Live> {
    let by_id: HashMap<&ObjectId, &Object> = wanted.iter().map(|object| (&object.id, object)).collect();
    seen.into_iter()
        .map(|Sighting { mut live, fields }| {
            let object = by_id.get(&live.id).filter(|_| live.owner == Ownership::Ours);
            // Another manifest is written in any case.
            let same =
                |object: &&&Object| live.manifest_digest.as_deref() == Some(&*object.digest.to_string());
            if let Some(object) = object.filter(same) {
                match covers(&fields, &object.value) {
                    None => {}
                    Some(true) => {
                        if let Fields::Unchecked { digest, .. } = fields {
                            let namespace = live.id.namespace.as_deref().unwrap_or_default();
                            hand.state
                                .checked(&kind_of(&live.id), namespace, &live.id.name, digest);
                        }
                    }
                    Some(false) => live.drift = Drift::Drifted,
                }
            }
            live
        })
        .collect()
}

/// Lists a kind that is not watched, or not yet.
async fn list(
    hand: &Hand<'_>,
    kind: &KindName,
    info: &KindInfo,
    asked: Option<&HashSet<&str>>,
    seen: &mut Vec<Sighting>,
) -> Result<(), Failure> {
    if info.can("list") {
        let before = seen.len();
        match list_pages(hand, info, asked, seen).await {
            Ok(()) if info.scope == Scope::Namespaced => return Ok(()),
            Ok(()) => {}
            Err(kube::Error::Api(status)) if matches!(status.code, 403..=405) => seen.truncate(before),
            Err(kube::Error::Api(status)) => {
                let text = format!(
                    "the objects of the kind {kind} cannot be listed: {}",
                    status.reason
                );
                return Err(Failure::new("unavailable", text));
            }
            Err(_) => return Err(Failure::unreachable("a list broke")),
        }
    }
    let there: HashSet<String> = seen
        .iter()
        .filter(|it| kind_of(&it.live.id) == *kind)
        .map(|it| it.live.id.name.clone())
        .collect();
    for name in asked.into_iter().flatten().filter(|name| !there.contains(**name)) {
        get(hand, kind, info, name, seen).await?;
    }
    Ok(())
}

async fn list_pages(
    hand: &Hand<'_>,
    info: &KindInfo,
    asked: Option<&HashSet<&str>>,
    seen: &mut Vec<Sighting>,
) -> kube::Result<()> {
    #[derive(serde::Deserialize)]
    struct Page {
        metadata: PageMeta,
        items: Option<Vec<Value>>,
    }
    #[derive(serde::Deserialize)]
    struct PageMeta {
        #[serde(rename = "continue", default)]
        next: String,
    }
    let (namespace, mut params) = match info.scope {
        Scope::Namespaced => (Some(hand.namespace), ListParams::default()),
        Scope::Cluster => (
            None,
            ListParams::default().labels(&format!("{}={}", labels::PART_OF, hand.applyset)),
        ),
    };
    params = params.limit(PAGE);
    loop {
        let request = Request::new(DynamicObject::url_path(&info.resource, namespace))
            .list(&params)
            .map_err(kube::Error::BuildRequest)?;
        let answer = timeout(CALL_DEADLINE, hand.client.request::<Page>(request)).await;
        let page = answer.map_err(|late| kube::Error::Service(Box::new(late)))??;
        for mut item in page.items.into_iter().flatten() {
            name_kind(&mut item, info);
            if let Some(sighting) = sighting(&item, hand.namespace)
                && (sighting.live.owner == Ownership::Ours
                    || asked.is_some_and(|asked| asked.contains(sighting.live.id.name.as_str())))
            {
                seen.push(sighting);
            }
        }
        if page.metadata.next.is_empty() {
            return Ok(());
        }
        params.continue_token = Some(page.metadata.next);
    }
}

async fn get(
    hand: &Hand<'_>,
    kind: &KindName,
    info: &KindInfo,
    name: &str,
    seen: &mut Vec<Sighting>,
) -> Result<(), Failure> {
    let namespace = (info.scope == Scope::Namespaced).then(|| hand.namespace.to_owned());
    let id = ObjectId {
        group: kind.group.clone(),
        kind: kind.kind.clone(),
        namespace,
        name: name.to_owned(),
    };
    if let Some(object) = hand.get(info, &id).await? {
        seen.extend(sighting(&object, hand.namespace));
    }
    Ok(())
}

/// Items of a list come without.
fn name_kind(item: &mut Value, info: &KindInfo) {
    if let Some(map) = item.as_object_mut() {
        map.insert("apiVersion".into(), info.resource.api_version.as_str().into());
        map.insert("kind".into(), info.resource.kind.as_str().into());
    }
}
