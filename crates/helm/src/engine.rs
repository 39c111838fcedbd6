//! The operations on releases.

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::{
    Done, EngineError, Install, Recovered, ReleaseId, Render, Rendered, Rollback, Test, Uninstall, Upgrade,
};

/// What an operation gives when it ends; boxed, so that an engine can be a `dyn HelmEngine`.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, EngineError>>;

/// Changes Helm releases.
///
/// An operation ends by itself at its deadline, and at once when `cancel` fires. After [`EngineError::Timeout`],
/// [`EngineError::Cancelled`] and [`EngineError::Killed`] the release may be left as pending; the engine that made it so
/// recovers it before its next operation on it, and [`recover`](HelmEngine::recover) does so at once (as after a
/// restart). Dropping a future that is not finished counts as cancelling it.
///
/// Two operations on one release at the same time are refused with [`EngineError::Busy`].
pub trait HelmEngine: Send + Sync {
    /// Makes a release: a new one, one whose history was kept on uninstalling, or one whose first install failed.
    fn install<'a>(&'a self, request: Install, cancel: &'a CancellationToken) -> Answer<'a, Done>;

    /// Brings a release to another chart or other values, as its next revision.
    fn upgrade<'a>(&'a self, request: Upgrade, cancel: &'a CancellationToken) -> Answer<'a, Done>;

    /// Brings a release back to what an earlier revision was, as its next revision.
    fn rollback<'a>(&'a self, request: Rollback, cancel: &'a CancellationToken) -> Answer<'a, Done>;

    /// Removes a release and what it made. [`EngineError::NotFound`] if there is none.
    fn uninstall<'a>(&'a self, request: Uninstall, cancel: &'a CancellationToken) -> Answer<'a, Done>;

    /// Runs the chart's test hooks. A test that fails is [`EngineError::Hook`] with all that ran.
    fn test<'a>(&'a self, request: Test, cancel: &'a CancellationToken) -> Answer<'a, Done>;

    /// What an install or upgrade would write; writes nothing.
    fn render<'a>(&'a self, request: Render, cancel: &'a CancellationToken) -> Answer<'a, Rendered>;

    /// Brings a release that a killed process left pending to a state from which the next operation works.
    fn recover<'a>(&'a self, id: ReleaseId, cancel: &'a CancellationToken) -> Answer<'a, Recovered>;

    /// Nobody cares for the release any more: what the engine remembers of it goes.
    fn forget(&self, id: &ReleaseId);
}
