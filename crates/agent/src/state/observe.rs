//! From an object, as the API server shows it, to what is kept and told of it. Pure.
//!
//! The object itself is dropped afterwards, `managedFields` and all; of a Secret only the names of its keys stay.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use c7n_link::messages::{Health as WireHealth, ObjectKey, ObjectState, Owner};
use c7n_manifests::{
    APPLYSET_PARENT, HealthStatus, ManifestDigest, Trouble, applyset_id, labels, owned_fields,
    owned_fields_digest,
};
use k8s_openapi::jiff::Timestamp;
use prost::Message;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cluster::{KindInfo, Scope};

/// Id of an environment's ApplySet.
pub fn applyset_of(namespace: &str) -> String {
    applyset_id(APPLYSET_PARENT, namespace, "Secret", "")
}

/// Which environments there are, and so whose an object is. Replaced as a whole when it changes.
#[derive(Debug, Clone, Default)]
pub struct Homes {
    pub by_namespace: HashMap<Arc<str>, Arc<Home>>,
    pub by_id: HashMap<Arc<str>, Arc<Home>>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Home {
    pub environment: Arc<str>,
    pub namespace: Arc<str>,
    pub applyset: String,
}

impl Homes {
    /// The environment that an object belongs to. Objects of the whole cluster belong to the environment that made
    /// them, that they are the namespace of, or whose claim they serve.
    pub fn of(&self, info: &KindInfo, object: &Value) -> Option<&Arc<Home>> {
        let metadata = &object["metadata"];
        if info.scope == Scope::Namespaced {
            return self.by_namespace.get(metadata["namespace"].as_str()?);
        }
        let by_namespace = match (info.resource.group.as_str(), info.resource.kind.as_str()) {
            ("", "Namespace") => metadata["name"].as_str(),
            ("", "PersistentVolume") => object["spec"]["claimRef"]["namespace"].as_str(),
            _ => None,
        };
        let by_label = || self.by_id.get(metadata["labels"][labels::ENV].as_str()?);
        by_namespace
            .and_then(|name| self.by_namespace.get(name))
            .or_else(by_label)
    }
}

/// `resourceVersion` as a number: the API server promises since 1.35 that they can be compared (KEP-5504), and etcd
/// has always kept it. 0 where it is none: such versions are taken as newer than whatever is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    pub fn parse(text: &str) -> Self {
        Self(text.parse().unwrap_or_default())
    }

    pub fn of(object: &Value) -> Self {
        Self::parse(object["metadata"]["resourceVersion"].as_str().unwrap_or_default())
    }

    pub fn is_newer_than(self, known: Self) -> bool {
        self.0 == 0 || known.0 == 0 || self.0 > known.0
    }
}

/// What is known of the fields that the agent's applies own in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields {
    /// Nothing is owned any more.
    Nothing,
    /// As JSON: nobody has compared them with the manifest yet.
    Unchecked { digest: ManifestDigest, json: Box<str> },
    /// They cover the manifest of the annotation.
    Checked { digest: ManifestDigest },
}

impl Fields {
    pub fn digest(&self) -> Option<ManifestDigest> {
        match self {
            Self::Nothing => None,
            Self::Unchecked { digest, .. } | Self::Checked { digest } => Some(*digest),
        }
    }
}

/// What says that an object was applied, by whom, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Id of the ApplySet.
    pub part_of: Box<str>,
    pub manifest_digest: Option<Box<str>>,
    pub file: Option<Box<str>>,
    pub controller: Option<Box<str>>,
    pub fields: Fields,
}

/// One look at one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub home: Arc<Home>,
    /// Empty for an object of the whole cluster.
    pub namespace: Arc<str>,
    pub name: Box<str>,
    pub uid: Box<str>,
    pub version: Version,
    pub deleting: bool,
    pub applied: Option<Box<Applied>>,
    pub digest: [u8; 16],
    pub state: ObjectState,
    /// For an Event: the object it speaks of, and when.
    pub event: Option<EventOf>,
    /// Why it is not well, as far as it says so itself.
    pub trouble: Option<Box<Trouble>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventOf {
    pub subject: Box<str>,
    pub time_ms: i64,
}

/// What is kept of the object, or `None` if it belongs to no environment. `object` is changed only to carry its kind.
pub fn observe(homes: &Homes, info: &KindInfo, object: &mut Value) -> Option<Observed> {
    // Items of a list come without.
    if let Some(map) = object.as_object_mut() {
        map.insert("apiVersion".into(), info.resource.api_version.as_str().into());
        map.insert("kind".into(), info.resource.kind.as_str().into());
    }
    let object = &*object;
    let home = homes.of(info, object)?.clone();
    let metadata = &object["metadata"];
    let namespace = match info.scope {
        Scope::Namespaced => home.namespace.clone(),
        Scope::Cluster => Arc::from(""),
    };
    let controller = metadata["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|owner| owner["controller"] == true);
    let applied = applied(metadata, object, controller).map(Box::new);
    let managed = applied.as_ref().is_some_and(|applied| is_ours(applied, &home));
    let annotation = |key: &str| word(&metadata["annotations"], key).to_owned();

    let mut state = ObjectState {
        environment_id: home.environment.to_string(),
        key: ObjectKey {
            group: info.resource.group.clone(),
            kind: info.resource.kind.clone(),
            namespace: namespace.to_string(),
            name: word(metadata, "name").to_owned(),
        },
        version: info.resource.version.clone(),
        uid: word(metadata, "uid").to_owned(),
        resource_version: word(metadata, "resourceVersion").to_owned(),
        owners: controller.into_iter().map(owner).collect(),
        managed,
        file: if managed {
            annotation(labels::FILE)
        } else {
            String::new()
        },
        commit: if managed {
            annotation(labels::COMMIT)
        } else {
            String::new()
        },
        created_ms: time_ms(word(metadata, "creationTimestamp")),
        release: word(&metadata["labels"], labels::RELEASE).to_owned(),
        ..ObjectState::default()
    };
    let event = is_event(info).then(|| event_of(object));
    let mut trouble = None;
    if event.is_some() {
        state.summary = event_summary(object);
    } else {
        let health = c7n_manifests::health(object);
        trouble = c7n_manifests::trouble(object, &health).map(Box::new);
        state.health = wire_health(health.status).into();
        state.message = health.message;
        state.summary = c7n_manifests::summary(object);
    }
    let digest = digest(&state);
    state.digest = Bytes::copy_from_slice(&digest);
    Some(Observed {
        home,
        namespace,
        name: state.key.name.as_str().into(),
        uid: state.uid.as_str().into(),
        version: Version::parse(&state.resource_version),
        deleting: !metadata["deletionTimestamp"].is_null(),
        applied,
        digest,
        event,
        state,
        trouble,
    })
}

/// Over everything that the object itself tells, the version included: two looks at a Secret differ in nothing else.
fn digest(state: &ObjectState) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(state.encode_to_vec())[..16]);
    half
}

fn applied(metadata: &Value, object: &Value, controller: Option<&Value>) -> Option<Applied> {
    let boxed = |value: &Value| value.as_str().map(Box::<str>::from);
    Some(Applied {
        part_of: boxed(&metadata["labels"][labels::PART_OF])?,
        manifest_digest: boxed(&metadata["annotations"][labels::MANIFEST_DIGEST]),
        file: boxed(&metadata["annotations"][labels::FILE]),
        controller: controller.map(|owner| format!("{} {}", word(owner, "kind"), word(owner, "name")).into()),
        fields: owned_fields(object).map_or(Fields::Nothing, |fields| Fields::Unchecked {
            digest: owned_fields_digest(fields),
            json: fields.to_string().into(),
        }),
    })
}

/// Applied by this environment, and no copy of its labels that a controller made.
pub fn is_ours(applied: &Applied, home: &Home) -> bool {
    *applied.part_of == *home.applyset && applied.manifest_digest.is_some() && applied.controller.is_none()
}

fn owner(reference: &Value) -> Owner {
    Owner {
        uid: word(reference, "uid").to_owned(),
        kind: word(reference, "kind").to_owned(),
        name: word(reference, "name").to_owned(),
    }
}

fn wire_health(status: HealthStatus) -> WireHealth {
    match status {
        HealthStatus::Healthy => WireHealth::Healthy,
        HealthStatus::Suspended => WireHealth::Suspended,
        HealthStatus::Progressing => WireHealth::Progressing,
        HealthStatus::Unknown => WireHealth::Unknown,
        HealthStatus::Missing => WireHealth::Missing,
        HealthStatus::Degraded => WireHealth::Degraded,
    }
}

pub fn is_event(info: &KindInfo) -> bool {
    info.resource.kind == "Event" && matches!(info.resource.group.as_str(), "" | "events.k8s.io")
}

fn event_of(event: &Value) -> EventOf {
    let subject = &event["involvedObject"];
    let last = ["lastTimestamp", "eventTime", "firstTimestamp"];
    let metadata = &event["metadata"];
    EventOf {
        subject: format!("{}/{}", word(subject, "kind"), word(subject, "name")).into(),
        time_ms: last
            .into_iter()
            .map(|key| word(event, key))
            .chain([
                word(&event["series"], "lastObservedTime"),
                word(metadata, "creationTimestamp"),
            ])
            .map(time_ms)
            .max()
            .unwrap_or_default(),
    }
}

/// Words of controllers can be long; a list shows their beginning.
const EVENT_MESSAGE: usize = 300;

fn event_summary(event: &Value) -> BTreeMap<String, String> {
    let subject = &event["involvedObject"];
    let message: String = word(event, "message").chars().take(EVENT_MESSAGE).collect();
    let count = event["count"]
        .as_i64()
        .or(event["series"]["count"].as_i64())
        .unwrap_or(1);
    [
        ("type", word(event, "type").to_owned()),
        ("reason", word(event, "reason").to_owned()),
        ("message", message),
        ("count", count.to_string()),
        ("objectKind", word(subject, "kind").to_owned()),
        ("objectName", word(subject, "name").to_owned()),
        ("objectUid", word(subject, "uid").to_owned()),
        ("container", container_of(word(subject, "fieldPath")).to_owned()),
    ]
    .into_iter()
    .filter(|(_, text)| !text.is_empty())
    .map(|(key, text)| (key.to_owned(), text))
    .collect()
}

/// `spec.containers{web}`, `spec.initContainers{setup}`
fn container_of(field_path: &str) -> &str {
    let inside = field_path
        .split_once('{')
        .and_then(|(_, rest)| rest.strip_suffix('}'));
    inside.unwrap_or_default()
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn time_ms(text: &str) -> i64 {
    text.parse::<Timestamp>().map_or(0, Timestamp::as_millisecond)
}
