//! What can go wrong with a release, told so that a person knows what to do next. No text here holds a Secret's contents.

use std::fmt;
use std::time::Duration;

use crate::{HookRun, ReleaseStatus};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    #[error("the chart cannot be used: {reason}")]
    Chart { reason: String },
    #[error("the chart's signature does not hold: {reason}")]
    Provenance { reason: String },
    #[error("the values do not fit the chart: {reason}")]
    Values { reason: String },
    /// The API server cannot be reached or is overloaded; trying again helps.
    #[error("the cluster does not answer ({reason}); it is tried again")]
    Cluster { reason: String },
    /// The API server said no to an object; trying again without a change does not help.
    #[error("the cluster refused {object}: {reason}")]
    Refused { object: String, reason: String },
    #[error("{}; give the fields to one side, or let the chart overwrite them", shown(.conflicts))]
    Conflict { conflicts: Vec<FieldConflict> },
    /// An object of the chart exists and belongs to somebody else.
    #[error(
        "{object} exists and is not of this release ({reason}); delete it, rename it in the chart, or let the release take it over"
    )]
    NotOurs { object: String, reason: String },
    #[error("{reason}; see the hook's log")]
    Hook { reason: String, hooks: Vec<HookRun> },
    /// Workloads were waited for and did not become ready.
    #[error("not ready in time: {reason}")]
    NotReady { reason: String },
    /// The operation failed for `cause` and the release is again as `revision` made it.
    #[error("{cause}; the release was rolled back")]
    RolledBack { revision: u32, cause: Box<EngineError> },
    #[error("it took longer than {after:?} and was stopped; give it more time, or see what it waits for")]
    Timeout { after: Duration },
    #[error("it was cancelled")]
    Cancelled,
    /// The process that worked on it died or was killed for its greed.
    #[error("the Helm process ended in the middle: {reason}")]
    Killed { reason: String },
    /// The newest revision is pending: another process is at it, or died at it.
    #[error(
        "revision {revision} is {status}: another process works on this release, or died at it; recover it first"
    )]
    Pending { revision: u32, status: ReleaseStatus },
    #[error("another operation on this release is going on; try again when it has ended")]
    Busy,
    #[error("there is no such release or revision: {what}")]
    NotFound { what: String },
    #[error("the release exists already (revision {revision}, {status}); upgrade it instead")]
    Exists { revision: u32, status: ReleaseStatus },
    /// The engine itself does not work.
    #[error("Helm cannot be run: {reason}")]
    Engine { reason: String },
    /// Something that has no class of its own.
    #[error("{reason}")]
    Other { reason: String },
}

impl EngineError {
    /// The same request may go well later without anybody changing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Cluster { .. }
            | Self::NotReady { .. }
            | Self::Timeout { .. }
            | Self::Cancelled
            | Self::Killed { .. }
            | Self::Pending { .. }
            | Self::Busy
            | Self::Engine { .. } => true,
            Self::RolledBack { cause, .. } => cause.may_pass(),
            _ => false,
        }
    }

    /// The hooks that ran before it failed.
    pub fn hooks(&self) -> &[HookRun] {
        match self {
            Self::Hook { hooks, .. } => hooks,
            Self::RolledBack { cause, .. } => cause.hooks(),
            _ => &[],
        }
    }
}

/// A field that another manager owns.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FieldConflict {
    /// `Kind/name`.
    pub object: String,
    /// As the API server writes it: `.spec.replicas`.
    pub field: String,
    /// The other field manager.
    pub manager: String,
}

impl fmt::Display for FieldConflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} of {} belongs to {}",
            self.field, self.object, self.manager
        )
    }
}

fn shown(conflicts: &[FieldConflict]) -> String {
    const MOST: usize = 5;
    let mut text = conflicts
        .iter()
        .take(MOST)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    if conflicts.len() > MOST {
        text += &format!(" and {} more fields", conflicts.len() - MOST);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_names_field_object_and_owner() {
        let conflict = |field: &str| FieldConflict {
            object: "Deployment/web".into(),
            field: field.into(),
            manager: "kubectl-edit".into(),
        };
        let error = EngineError::Conflict {
            conflicts: vec![conflict(".spec.replicas"); 7],
        };
        let text = error.to_string();
        assert!(text.starts_with(".spec.replicas of Deployment/web belongs to kubectl-edit, "));
        assert!(text.contains("and 2 more fields; "), "{text}");
    }

    #[test]
    fn a_rollback_passes_if_its_cause_does() {
        let rolled_back = |cause| EngineError::RolledBack {
            revision: 1,
            cause: Box::new(cause),
        };
        assert!(
            rolled_back(EngineError::Timeout {
                after: Duration::from_secs(1)
            })
            .may_pass()
        );
        assert!(
            !rolled_back(EngineError::Values {
                reason: String::new()
            })
            .may_pass()
        );
    }
}
