//! Writes one object by server-side apply, and deletes one; tells the state index of both.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use c7n_git::{CommitId, Repository};
use c7n_link::messages::ObjectKey;
use c7n_manifests::{
    Action, DriftedField, Limits, Object, ObjectId, decorate, drifted_fields, labels, parse_file,
};
use kube::api::{
    DeleteParams, DynamicObject, GetParams, Patch, PatchParams, Preconditions, PropagationPolicy, Request,
};
use kube::core::Status;
use kube::{Client, Resource};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::conflict::{TakenBack, conflicts, may_take_back};
use super::failure::Failure;
use crate::cluster::{Discovery, KindInfo, KindName, Scope};
use crate::state::{Fields, StateIndex};

pub(super) const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// A server that asks for more is asked again by the next pass.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 3;

/// What one pass writes with.
pub struct Hand<'a> {
    pub client: &'a Client,
    pub discovery: &'a Discovery,
    pub state: &'a StateIndex,
    /// Over all environments.
    pub permits: &'a Arc<Semaphore>,
    pub repository: &'a Repository,
    pub environment: &'a str,
    pub namespace: &'a str,
    pub applyset: &'a str,
    pub commit: String,
    pub taken_back: &'a Mutex<TakenBack>,
    /// The kinds were asked for anew in this pass.
    pub refreshed: &'a tokio::sync::OnceCell<()>,
}

impl Hand<'_> {
    /// Writes the object, after the plan's `action`. The answer is what somebody else had changed, where it is repaired.
    pub async fn apply(&self, object: &Object, action: Action) -> Result<Vec<DriftedField>, Failure> {
        let mut info = self.kind(&object.id, &object.api_version).await?;
        let drifted = match action {
            Action::Repair => self.drifted(&info, object).await,
            Action::Create | Action::Adopt | Action::Update => Vec::new(),
        };
        let body = decorate(
            object,
            self.environment,
            &object.source.file,
            &self.commit,
            self.applyset,
        );
        let kind = kind_of(&object.id);
        let namespace = object.id.namespace.clone().unwrap_or_default();
        self.state.writing(&kind, &namespace, &object.id.name);
        let mut outcome = self.patch(&info, &object.id, &body, Force::No).await;
        match &outcome {
            // The kind went away, or is served anew: asked for once in a pass.
            Err(Refusal::Answer(status)) if status.code == 404 && self.refreshed.get().is_none() => {
                self.refresh().await;
                if let Ok(again) = self.kind(&object.id, &object.api_version).await {
                    info = again;
                    outcome = self.patch(&info, &object.id, &body, Force::No).await;
                }
            }
            Err(Refusal::Answer(status)) if status.code == 409 => {
                let found = conflicts(status);
                if found.is_empty() {
                    // Made or changed by somebody else at this moment.
                    outcome = self.patch(&info, &object.id, &body, Force::No).await;
                } else {
                    let before = self.applied_before(object, action).await;
                    let now = Instant::now();
                    let times = self.taken_back().count(&object.id, now);
                    if before.is_some_and(|before| may_take_back(&found, &before, times)) {
                        self.taken_back().note(&object.id, now);
                        outcome = self.patch(&info, &object.id, &body, Force::Yes).await;
                    }
                }
            }
            _ => {}
        }
        let (answer, result) = match outcome {
            Ok(answer) => (Some(answer), Ok(drifted)),
            Err(refusal) => (None, Err(refusal.told_of(&object.id))),
        };
        self.state.written(&info, &namespace, &object.id.name, answer);
        result
    }

    /// Looked at before it is put back, because afterwards nobody knows any more. Words for a person: no reason to fail.
    async fn drifted(&self, info: &KindInfo, object: &Object) -> Vec<DriftedField> {
        match self.get(info, &object.id).await {
            Ok(Some(live)) => drifted_fields(&object.value, &live),
            Ok(None) | Err(_) => Vec::new(),
        }
    }

    /// Deletes the object, if it is still the one that was seen.
    pub async fn delete(&self, id: &ObjectId, uid: &str) -> Result<(), Failure> {
        let kind = kind_of(id);
        // A kind that has gone took its objects along.
        let Some(info) = self.discovery.kinds().preferred(&kind).cloned() else {
            return Ok(());
        };
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        self.state
            .leaving(&kind, id.namespace.as_deref().unwrap_or_default(), &id.name);
        let call = || async {
            let request = request(&info, id)
                .delete(&id.name, &params)
                .map_err(kube::Error::BuildRequest)?;
            self.client.request::<Value>(request).await
        };
        match self.call(call).await {
            Ok(_) => Ok(()),
            // Gone, or another object by now.
            Err(Refusal::Answer(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(refusal) => Err(refusal.told_of(id)),
        }
    }

    /// The object as it lives, if it does.
    pub async fn get(&self, info: &KindInfo, id: &ObjectId) -> Result<Option<Value>, Failure> {
        let call = || async {
            let request = request(info, id)
                .get(&id.name, &GetParams::default())
                .map_err(kube::Error::BuildRequest)?;
            self.client.request::<Value>(request).await
        };
        match self.call(call).await {
            Ok(object) => Ok(Some(object)),
            Err(Refusal::Answer(status)) if status.code == 404 => Ok(None),
            Err(refusal) => Err(refusal.told_of(id)),
        }
    }

    /// Asks for the kinds anew, once in a pass.
    pub async fn refresh(&self) {
        self.refreshed
            .get_or_init(|| async {
                if let Err(cause) = self.discovery.refresh().await {
                    tracing::debug!(%cause, "the kinds cannot be asked for; the known ones stay in use");
                }
            })
            .await;
    }

    async fn kind(&self, id: &ObjectId, api_version: &str) -> Result<KindInfo, Failure> {
        let name = kind_of(id);
        let version = api_version.rsplit('/').next().unwrap_or_default();
        if let Some(info) = self.discovery.kinds().in_version(&name, version) {
            return Ok(info.clone());
        }
        self.refresh().await;
        let kinds = self.discovery.kinds();
        kinds.in_version(&name, version).cloned().ok_or_else(|| {
            let served = kinds.versions().filter(|(known, _)| **known == name);
            let served: Vec<String> = served
                .map(|(_, info)| info.resource.api_version.clone())
                .collect();
            Failure::unknown_kind(&name, api_version, &served)
        })
    }

    async fn patch(
        &self,
        info: &KindInfo,
        id: &ObjectId,
        body: &Value,
        force: Force,
    ) -> Result<Value, Refusal> {
        let params = PatchParams::apply(labels::FIELD_MANAGER);
        let params = if force == Force::Yes {
            params.force()
        } else {
            params
        };
        self.call(|| async {
            let patch = Patch::Apply(body);
            let request = request(info, id)
                .patch(&id.name, &params, &patch)
                .map_err(kube::Error::BuildRequest)?;
            self.client.request::<Value>(request).await
        })
        .await
    }

    /// Calls within the bounds that all environments share. A server that is busy is heeded; the place is given to
    /// others meanwhile.
    async fn call<F: Future<Output = kube::Result<Value>>>(
        &self,
        work: impl Fn() -> F,
    ) -> Result<Value, Refusal> {
        let mut attempt = 1;
        loop {
            let answered = {
                // Closed never: the semaphore lives as long as the agent.
                let _permit = self.permits.acquire().await;
                timeout(CALL_DEADLINE, work()).await
            };
            let status = match answered {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(kube::Error::Api(status))) => status,
                Ok(Err(cause)) => return Err(Refusal::Connection(class_of(&cause))),
                Err(_) => return Err(Refusal::Timeout),
            };
            let wait = wait_asked(&status).filter(|wait| *wait <= LONGEST_WAIT && attempt < ATTEMPTS);
            let Some(wait) = wait else {
                return Err(Refusal::Answer(status));
            };
            sleep(wait.mul_f64(1.0 + rand::random::<f64>() / 2.0)).await;
            attempt += 1;
        }
    }

    /// The manifest that was applied last: what it set, Git owned.
    async fn applied_before(&self, object: &Object, action: Action) -> Option<Value> {
        match action {
            Action::Repair => return Some(object.value.clone()),
            Action::Create | Action::Adopt => return None,
            Action::Update => {}
        }
        let key = key_of(&object.id);
        let (commit, file) = self.state.applied_from(self.environment, &key)?;
        let (repository, id) = (self.repository.clone(), object.id.clone());
        let read = move || {
            let commit: CommitId = commit.parse().ok()?;
            let limits = Limits::default();
            let blob = *repository.tree(&commit).ok()?.files.get(&file)?;
            let bytes = repository.read(&blob, limits.bytes as u64).ok()?;
            let same = |other: &ObjectId| {
                (&other.group, &other.kind, &other.name) == (&id.group, &id.kind, &id.name)
            };
            let objects = parse_file(&file, &bytes, &limits).ok()?;
            objects
                .into_iter()
                .find(|other| same(&other.id))
                .map(|other| other.value)
        };
        tokio::task::spawn_blocking(read).await.ok()?
    }

    fn taken_back(&self) -> std::sync::MutexGuard<'_, TakenBack> {
        self.taken_back.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Force {
    No,
    Yes,
}

enum Refusal {
    Answer(Box<Status>),
    Connection(&'static str),
    Timeout,
}

impl Refusal {
    fn told_of(self, id: &ObjectId) -> Failure {
        match self {
            Self::Answer(status) => {
                let found = conflicts(&status);
                if found.is_empty() {
                    Failure::refused(id, &status)
                } else {
                    Failure::conflict(&found)
                }
            }
            Self::Connection(text) => Failure::unreachable(text),
            Self::Timeout => Failure::timeout(CALL_DEADLINE.as_secs()),
        }
    }
}

/// Words of our own: an error of the connection or of the decoder may quote what it was given.
fn class_of(cause: &kube::Error) -> &'static str {
    match cause {
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => "its answer cannot be read",
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => "the request cannot be made",
        kube::Error::Auth(_) => "the credentials of this agent cannot be used",
        _ => "the connection broke or could not be made",
    }
}

/// How long a busy server wants to be left alone.
fn wait_asked(status: &Status) -> Option<Duration> {
    if !matches!(status.code, 429 | 503 | 504) {
        return None;
    }
    let seconds = status
        .details
        .as_ref()
        .map_or(0, |details| details.retry_after_seconds);
    Some(Duration::from_secs(seconds.max(1).into()))
}

fn request(info: &KindInfo, id: &ObjectId) -> Request {
    let namespace = id
        .namespace
        .as_deref()
        .filter(|_| info.scope == Scope::Namespaced);
    Request::new(DynamicObject::url_path(&info.resource, namespace))
}

pub fn kind_of(id: &ObjectId) -> KindName {
    KindName::new(id.group.clone(), id.kind.clone())
}

pub fn key_of(id: &ObjectId) -> ObjectKey {
    ObjectKey {
        group: id.group.clone(),
        kind: id.kind.clone(),
        namespace: id.namespace.clone().unwrap_or_default(),
        name: id.name.clone(),
    }
}

/// Whether fields cover the manifest, and so nobody has changed what it sets. `None`: there is nothing to compare.
pub fn covers(fields: &Fields, manifest: &Value) -> Option<bool> {
    match fields {
        Fields::Checked { .. } => None,
        Fields::Nothing => Some(false),
        Fields::Unchecked { json, .. } => Some(
            serde_json::from_str(json)
                .is_ok_and(|fields: Value| c7n_manifests::owned_fields_cover(manifest, &fields)),
        ),
    }
}
