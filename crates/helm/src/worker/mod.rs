//! The engine on a pool of worker processes (the program `c7n-helm`, on Helm's own SDK).
//!
//! ```text
//! operation ─> claim of the release ─> place in the pool ─> (recover what a kill left) ─> worker ─> answer
//!                                                                │ deadline, cancel, memory
//!                                                                └─> killed; the release is recovered before its next
//! ```
//!
//! A worker does one operation at a time, so that a chart that runs wild is killed alone. Workers stay warm: what costs
//! with the program is starting it and learning the cluster's kinds each time.

mod environment;
mod exchange;
mod pool;
mod process;
mod wire;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{
    Answer, Done, EngineError, HelmEngine, History, Install, Lookup, OnFailure, Recovered, ReleaseId, Render,
    Rendered, Rollback, Test, Uninstall, Upgrade,
};
use exchange::Budget;
use pool::Pool;
use wire::Request;

/// Recovering writes one Secret.
const RECOVER_TIME: Duration = Duration::from_secs(30);
/// More than this is no values file but a mistake; a release's record has to fit into 1 MiB, compressed.
const MAX_VALUES: usize = 8 << 20;

/// How the workers are run.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The program `c7n-helm`.
    pub program: PathBuf,
    /// How workers reach the cluster; a file that only its owner may read.
    pub kubeconfig: PathBuf,
    /// A folder of the workers' own, for what Helm writes.
    pub home: PathBuf,
    /// How many work at the same time.
    pub processes: usize,
    /// A worker that needs more than this many bytes is killed.
    pub memory: u64,
    /// A worker is replaced after this many operations.
    pub operations: u32,
    /// A worker that had nothing to do for this long is ended.
    pub idle: Duration,
}

impl WorkerOptions {
    pub fn new(
        program: impl Into<PathBuf>,
        kubeconfig: impl Into<PathBuf>,
        home: impl Into<PathBuf>,
    ) -> Self {
        Self {
            program: program.into(),
            kubeconfig: kubeconfig.into(),
            home: home.into(),
            processes: std::thread::available_parallelism().map_or(2, usize::from),
            memory: 768 << 20,
            operations: 500,
            idle: Duration::from_secs(300),
        }
    }
}

/// Helm, by worker processes. They start with the first operation.
pub struct WorkerEngine {
    pool: Pool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Releases that an operation is at.
    busy: HashSet<ReleaseId>,
    /// Releases whose last operation was cut off.
    unfinished: HashSet<ReleaseId>,
}

impl WorkerEngine {
    pub fn new(options: WorkerOptions) -> Self {
        Self {
            pool: Pool::new(options),
            state: Arc::default(),
        }
    }

    /// Ends the workers that have nothing to do. Those at work end with their operations.
    pub async fn shut_down(&self) {
        self.pool.close().await;
    }

    /// The process ids of the workers that wait for work, for measurements.
    pub fn idle_workers(&self) -> Vec<u32> {
        self.pool.idle()
    }

    async fn change<T: DeserializeOwned>(
        &self,
        request: Request,
        budget: Budget,
        cancel: &CancellationToken,
    ) -> Result<T, EngineError> {
        let id = request.id();
        let mut claim = Claim::take(&self.state, id.clone())?;
        let place = self.pool.place(budget, cancel).await?;
        if claim.is_unfinished() {
            let recover = Request::new("recover", &id, RECOVER_TIME);
            place
                .exchange::<Recovered>(&recover, Budget::of(RECOVER_TIME), cancel)
                .await?;
            claim.finished();
        }
        claim.begin();
        let outcome = place.exchange(&request, budget, cancel).await;
        if !matches!(
            outcome,
            Err(EngineError::Timeout { .. } | EngineError::Cancelled | EngineError::Killed { .. })
        ) {
            claim.finished();
        }
        outcome
    }

    /// For what writes nothing: needs no claim and leaves nothing behind.
    async fn look<T: DeserializeOwned>(
        &self,
        request: Request,
        budget: Budget,
        cancel: &CancellationToken,
    ) -> Result<T, EngineError> {
        let place = self.pool.place(budget, cancel).await?;
        place.exchange(&request, budget, cancel).await
    }
}

fn check_values(values: &crate::Values) -> Result<(), EngineError> {
    if values.as_str().len() > MAX_VALUES {
        return Err(EngineError::Values {
            reason: format!("they are larger than {} MiB", MAX_VALUES >> 20),
        });
    }
    Ok(())
}

impl HelmEngine for WorkerEngine {
    fn install<'a>(&'a self, request: Install, cancel: &'a CancellationToken) -> Answer<'a, Done> {
        Box::pin(async move {
            check_values(&request.deployment.values)?;
            let budget = Budget::of(request.deployment.timeout);
            self.change(Request::install(request), budget, cancel).await
        })
    }

    fn upgrade<'a>(&'a self, request: Upgrade, cancel: &'a CancellationToken) -> Answer<'a, Done> {
        Box::pin(async move {
            check_values(&request.deployment.values)?;
            let budget = Budget::with_way_back(request.deployment.timeout, request.on_failure);
            self.change(Request::upgrade(request), budget, cancel).await
        })
    }

    fn rollback<'a>(&'a self, request: Rollback, cancel: &'a CancellationToken) -> Answer<'a, Done> {
        Box::pin(async move {
            let budget = Budget::with_way_back(request.timeout, request.on_failure);
            let mut wire = Request::new("rollback", &request.id, request.timeout);
            wire.revision = request.revision;
            wire.confine(request.cluster_kinds);
            wire.force_conflicts = request.conflicts == crate::Conflicts::Overwrite;
            wire.stopped = request.workloads == crate::Workloads::Stopped;
            wire.roll_back = request.on_failure == OnFailure::RollBack;
            self.change(wire, budget, cancel).await
        })
    }

    fn uninstall<'a>(&'a self, request: Uninstall, cancel: &'a CancellationToken) -> Answer<'a, Done> {
        Box::pin(async move {
            let mut wire = Request::new("uninstall", &request.id, request.timeout);
            wire.keep_history = request.history == History::Keep;
            self.change(wire, Budget::of(request.timeout), cancel).await
        })
    }

    fn test<'a>(&'a self, request: Test, cancel: &'a CancellationToken) -> Answer<'a, Done> {
        Box::pin(async move {
            let mut wire = Request::new("test", &request.id, request.timeout);
            wire.confine(request.cluster_kinds);
            self.change(wire, Budget::of(request.timeout), cancel).await
        })
    }

    fn render<'a>(&'a self, request: Render, cancel: &'a CancellationToken) -> Answer<'a, Rendered> {
        Box::pin(async move {
            check_values(&request.values)?;
            let budget = Budget::of(request.timeout);
            let mut wire = Request::new("render", &request.id, request.timeout);
            wire.chart(request.chart, request.provenance);
            wire.values = request.values.as_str().to_owned();
            wire.labels(request.labels);
            wire.confine(request.cluster_kinds);
            wire.offline = request.lookup == Lookup::Nothing;
            self.look(wire, budget, cancel).await
        })
    }

    fn recover<'a>(&'a self, id: ReleaseId, cancel: &'a CancellationToken) -> Answer<'a, Recovered> {
        Box::pin(async move {
            let wire = Request::new("recover", &id, RECOVER_TIME);
            self.change(wire, Budget::of(RECOVER_TIME), cancel).await
        })
    }

    fn forget(&self, id: &ReleaseId) {
        lock(&self.state).unfinished.remove(id);
    }
}

/// An operation's hold on its release. Dropped in the middle of the work, it leaves a note that the release is unfinished.
struct Claim {
    state: Arc<Mutex<State>>,
    id: ReleaseId,
    underway: bool,
}

impl Claim {
    fn take(state: &Arc<Mutex<State>>, id: ReleaseId) -> Result<Self, EngineError> {
        if !lock(state).busy.insert(id.clone()) {
            return Err(EngineError::Busy);
        }
        Ok(Self {
            state: state.clone(),
            id,
            underway: false,
        })
    }

    fn is_unfinished(&self) -> bool {
        lock(&self.state).unfinished.contains(&self.id)
    }

    fn begin(&mut self) {
        self.underway = true;
    }

    fn finished(&mut self) {
        self.underway = false;
        lock(&self.state).unfinished.remove(&self.id);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if self.underway {
            state.unfinished.insert(self.id.clone());
        }
        state.busy.remove(&self.id);
    }
}

/// The state stays sound whatever happened to the thread that held it: each change is one call.
fn lock<T>(state: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(state: &Arc<Mutex<State>>) -> Result<Claim, EngineError> {
        Claim::take(state, ReleaseId::new("shop", "web"))
    }

    #[test]
    fn a_release_has_one_operation_at_a_time() {
        let state = Arc::default();
        let first = claim(&state).unwrap();
        assert_eq!(claim(&state).err(), Some(EngineError::Busy));
        drop(first);
        assert!(claim(&state).is_ok());
    }

    #[test]
    fn an_operation_that_was_cut_off_leaves_its_release_unfinished() {
        let state = Arc::default();
        let mut cut = claim(&state).unwrap();
        cut.begin();
        drop(cut);

        let mut next = claim(&state).unwrap();
        assert!(next.is_unfinished());
        next.begin();
        next.finished();
        drop(next);
        assert!(!claim(&state).unwrap().is_unfinished());
    }

    #[test]
    fn a_release_that_is_gone_leaves_nothing_behind() {
        let engine = WorkerEngine::new(WorkerOptions::new("c7n-helm", "kubeconfig", "home"));
        let mut cut = claim(&engine.state).unwrap();
        cut.begin();
        drop(cut);
        assert_eq!(lock(&engine.state).unfinished.len(), 1);

        engine.forget(&ReleaseId::new("shop", "web"));
        assert!(lock(&engine.state).unfinished.is_empty());
    }
}
