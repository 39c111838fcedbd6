//! The protocol with the worker: one JSON object per line. `helm/protocol.go` has the other side.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Chart, ClusterKinds, Conflicts, Deployment, EngineError, FieldConflict, HookRun, Install, Labels,
    OnFailure, Ownership, Provenance, ReleaseId, ReleaseStatus, Upgrade, Workloads,
};

const PROTOCOL: u32 = 2;

#[derive(Deserialize)]
struct Greeting {
    protocol: u32,
}

/// Whether the worker speaks as we do; the error says what to do.
pub fn check_greeting(line: &[u8]) -> Result<(), String> {
    match serde_json::from_slice::<Greeting>(line) {
        Ok(greeting) if greeting.protocol == PROTOCOL => Ok(()),
        Ok(greeting) => Err(format!(
            "the worker speaks protocol {} and the agent {PROTOCOL}; they must be of one version",
            greeting.protocol
        )),
        Err(_) => Err("it is not the Helm worker".to_owned()),
    }
}

/// What a worker is asked. Holds values: it is neither printed nor logged.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub id: u64,
    op: &'static str,
    namespace: String,
    name: String,
    timeout_ms: u64,
    chart: String,
    prov: String,
    keyring: String,
    pub values: String,
    environment: String,
    commit: String,
    spec_digest: String,
    cluster_kinds: Option<Vec<String>>,
    take_ownership: bool,
    pub force_conflicts: bool,
    pub stopped: bool,
    pub roll_back: bool,
    pub revision: u32,
    pub keep_history: bool,
    pub offline: bool,
}

impl Request {
    pub fn new(op: &'static str, id: &ReleaseId, timeout: Duration) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            op,
            namespace: id.namespace.clone(),
            name: id.name.clone(),
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            chart: String::new(),
            prov: String::new(),
            keyring: String::new(),
            values: String::new(),
            environment: String::new(),
            commit: String::new(),
            spec_digest: String::new(),
            cluster_kinds: None,
            take_ownership: false,
            force_conflicts: false,
            stopped: false,
            roll_back: false,
            revision: 0,
            keep_history: false,
            offline: false,
        }
    }

    pub fn install(request: Install) -> Self {
        let mut wire = Self::deployment("install", request.deployment);
        wire.force_conflicts = request.conflicts == Conflicts::Overwrite;
        wire
    }

    pub fn upgrade(request: Upgrade) -> Self {
        let mut wire = Self::deployment("upgrade", request.deployment);
        wire.force_conflicts = request.conflicts == Conflicts::Overwrite;
        wire.roll_back = request.on_failure == OnFailure::RollBack;
        wire
    }

    fn deployment(op: &'static str, wanted: Deployment) -> Self {
        let mut wire = Self::new(op, &wanted.id, wanted.timeout);
        wire.chart(wanted.chart, wanted.provenance);
        wire.labels(wanted.labels);
        wire.confine(wanted.cluster_kinds);
        wire.values = wanted.values.as_str().to_owned();
        wire.spec_digest = wanted.spec_digest.as_str().to_owned();
        wire.take_ownership = wanted.ownership == Ownership::Take;
        wire.stopped = wanted.workloads == Workloads::Stopped;
        wire
    }

    pub fn chart(&mut self, chart: Chart, provenance: Option<Provenance>) {
        self.chart = chart.archive.display().to_string();
        if let Some(provenance) = provenance {
            self.prov = provenance.prov.display().to_string();
            self.keyring = provenance.keyring.display().to_string();
        }
    }

    pub fn labels(&mut self, labels: Labels) {
        self.environment = labels.environment;
        self.commit = labels.commit;
    }

    pub fn confine(&mut self, kinds: ClusterKinds) {
        self.cluster_kinds = match kinds {
            ClusterKinds::All => None,
            ClusterKinds::Only(kinds) => Some(kinds),
        };
    }

    pub fn id(&self) -> ReleaseId {
        ReleaseId::new(self.namespace.clone(), self.name.clone())
    }
}

/// What a worker answers.
#[derive(Deserialize)]
pub struct Reply<T> {
    pub id: u64,
    #[serde(default = "Option::default")]
    result: Option<T>,
    #[serde(default)]
    error: Option<Failure>,
}

impl<T> Reply<T> {
    pub fn outcome(self) -> Result<T, EngineError> {
        match (self.result, self.error) {
            (_, Some(failure)) => Err(failure.into_error()),
            (Some(result), None) => Ok(result),
            (None, None) => Err(EngineError::Engine {
                reason: "the worker answered with nothing".to_owned(),
            }),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Failure {
    kind: String,
    reason: String,
    object: String,
    conflicts: Vec<FieldConflict>,
    hooks: Vec<HookRun>,
    revision: u32,
    status: Option<ReleaseStatus>,
    after_ms: u64,
    cause: Option<Box<Failure>>,
}

impl Failure {
    fn into_error(self) -> EngineError {
        let reason = self.reason;
        let status = self.status.unwrap_or(ReleaseStatus::Unknown);
        match self.kind.as_str() {
            "chart" => EngineError::Chart { reason },
            "provenance" => EngineError::Provenance { reason },
            "values" => EngineError::Values { reason },
            "cluster" => EngineError::Cluster { reason },
            "refused" => EngineError::Refused {
                object: self.object,
                reason,
            },
            "conflict" => EngineError::Conflict {
                conflicts: self.conflicts,
            },
            "notOurs" => EngineError::NotOurs {
                object: self.object,
                reason,
            },
            "hook" => EngineError::Hook {
                reason,
                hooks: self.hooks,
            },
            "notReady" => EngineError::NotReady { reason },
            "rolledBack" => EngineError::RolledBack {
                revision: self.revision,
                cause: Box::new(self.cause.map_or_else(
                    || EngineError::Other {
                        reason: "the upgrade failed".to_owned(),
                    },
                    |cause| cause.into_error(),
                )),
            },
            "timeout" => EngineError::Timeout {
                after: Duration::from_millis(self.after_ms),
            },
            "pending" => EngineError::Pending {
                revision: self.revision,
                status,
            },
            "notFound" => EngineError::NotFound { what: reason },
            "exists" => EngineError::Exists {
                revision: self.revision,
                status,
            },
            _ => EngineError::Other { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Done, HookEvent, HookPhase};

    #[test]
    fn an_answer_is_a_result_or_an_error() {
        let done: Reply<Done> = serde_json::from_str(
            r#"{"id":7,"result":{"revision":2,"status":"deployed","chart":"web-1.0.0","appVersion":"","manifestDigest":"sha256:00",
                "hooks":[{"kind":"Job","name":"migrate","event":"pre-upgrade","phase":"succeeded","message":"","log":"done\n"}],"notes":""}}"#,
        )
        .unwrap();
        let done = done.outcome().unwrap();
        assert_eq!((done.revision, done.status), (2, ReleaseStatus::Deployed));
        assert_eq!(done.hooks[0].event, HookEvent::PreUpgrade);
        assert_eq!(done.hooks[0].phase, HookPhase::Succeeded);

        let failed: Reply<Done> = serde_json::from_str(
            r#"{"id":8,"error":{"kind":"rolledBack","revision":4,"cause":{"kind":"notReady","reason":"Deployment/web"}}}"#,
        )
        .unwrap();
        assert_eq!(
            failed.outcome(),
            Err(EngineError::RolledBack {
                revision: 4,
                cause: Box::new(EngineError::NotReady {
                    reason: "Deployment/web".into()
                })
            })
        );
    }

    #[test]
    fn a_worker_of_another_protocol_is_refused() {
        assert_eq!(check_greeting(br#"{"protocol":2,"helm":"v4.3.1"}"#), Ok(()));
        assert!(
            check_greeting(br#"{"protocol":3}"#)
                .unwrap_err()
                .contains("one version")
        );
        assert!(check_greeting(b"Usage: helm").is_err());
    }
}
