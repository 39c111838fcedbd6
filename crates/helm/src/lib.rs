//! Helm releases: the engine that makes and changes them, and their records read from the cluster.
//!
//! In: a chart's archive on disk, values, labels, a deadline. Out: what became of the release, or an error that tells a
//! person what to do next. Never: the contents of a Secret in an error, a log or an argument; a chart fetched from
//! anywhere (whoever calls has fetched and verified it); a choice of what to do with a release (whoever calls decides).
//!
//! - [`HelmEngine`]: the operations, as a trait, so that a controller can be tested without a cluster.
//! - [`WorkerEngine`]: the engine on a pool of warm worker processes.
//! - [`storage`]: what Helm recorded of each revision, read without Helm.

mod answer;
mod engine;
mod error;
mod request;
pub mod storage;
mod worker;

pub use answer::{Done, HookEvent, HookPhase, HookRun, Recovered, ReleaseStatus, Rendered, RenderedHook};
pub use engine::{Answer, HelmEngine};
pub use error::{EngineError, FieldConflict};
pub use request::{
    Chart, ClusterKinds, Conflicts, Deployment, History, Install, Labels, Lookup, OnFailure, Ownership,
    Provenance, ReleaseId, Render, Rollback, SpecDigest, Test, Uninstall, Upgrade, Values, Workloads,
};
pub use worker::{WorkerEngine, WorkerOptions};
