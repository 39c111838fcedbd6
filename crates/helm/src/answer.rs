//! What an operation answers with.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Helm's word for the state of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseStatus {
    Deployed,
    Uninstalled,
    Superseded,
    Failed,
    Uninstalling,
    PendingInstall,
    PendingUpgrade,
    PendingRollback,
    /// A word that is none of Helm's; last, as serde wants it.
    #[serde(other)]
    Unknown,
}

impl ReleaseStatus {
    /// Some process is at it, or died at it.
    pub fn is_pending(self) -> bool {
        matches!(
            self,
            Self::Uninstalling | Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback
        )
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Uninstalled => "uninstalled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }
}

impl fmt::Display for ReleaseStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for ReleaseStatus {
    type Err = std::convert::Infallible;

    /// A word that is not Helm's is [`ReleaseStatus::Unknown`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok([
            Self::Deployed,
            Self::Uninstalled,
            Self::Superseded,
            Self::Failed,
            Self::Uninstalling,
            Self::PendingInstall,
            Self::PendingUpgrade,
            Self::PendingRollback,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
        .unwrap_or(Self::Unknown))
    }
}

/// An operation that went well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    pub revision: u32,
    pub status: ReleaseStatus,
    /// `NAME-VERSION` of the revision's chart.
    pub chart: String,
    #[serde(default)]
    pub app_version: String,
    /// `sha256:…` of the manifest as Helm keeps it.
    pub manifest_digest: String,
    /// The hooks that this operation ran, in the order in which they ran.
    #[serde(default)]
    pub hooks: Vec<HookRun>,
    #[serde(default)]
    pub notes: String,
}

/// One hook that ran, or began to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookRun {
    pub kind: String,
    pub name: String,
    pub event: HookEvent,
    pub phase: HookPhase,
    /// Why it failed, in words; empty otherwise.
    #[serde(default)]
    pub message: String,
    /// The last lines its pods wrote: 20 at most, 4 KiB at most.
    #[serde(default)]
    pub log: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookEvent {
    PreInstall,
    PostInstall,
    PreUpgrade,
    PostUpgrade,
    PreRollback,
    PostRollback,
    PreDelete,
    PostDelete,
    Test,
}

impl fmt::Display for HookEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::PreRollback => "pre-rollback",
            Self::PostRollback => "post-rollback",
            Self::PreDelete => "pre-delete",
            Self::PostDelete => "post-delete",
            Self::Test => "test",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookPhase {
    Running,
    Succeeded,
    Failed,
    #[serde(other)]
    Unknown,
}

impl fmt::Display for HookPhase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        })
    }
}

/// What would be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rendered {
    /// `NAME-VERSION`.
    pub chart: String,
    /// Documents of YAML with their labels, hooks and CRDs not among them. May hold Secrets.
    pub manifest: String,
    /// The chart's `crds/`, which are installed once and never changed.
    #[serde(default)]
    pub crds: String,
    #[serde(default)]
    pub hooks: Vec<RenderedHook>,
    #[serde(default)]
    pub notes: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenderedHook {
    pub kind: String,
    pub name: String,
    pub events: Vec<HookEvent>,
    pub manifest: String,
}

/// What [`recover`](crate::HelmEngine::recover) found and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "camelCase")]
pub enum Recovered {
    /// There is no such release, or none any more.
    Absent,
    /// Its newest revision was not pending: nothing was written.
    Sound { revision: u32, status: ReleaseStatus },
    /// Its newest revision was pending and is marked as failed; the next operation works.
    MarkedFailed { revision: u32, was: ReleaseStatus },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helms_words_for_a_status_are_read_and_written() {
        for word in [
            "deployed",
            "uninstalled",
            "superseded",
            "failed",
            "uninstalling",
            "pending-install",
            "pending-upgrade",
            "pending-rollback",
        ] {
            let Ok(status) = word.parse::<ReleaseStatus>();
            assert_eq!(status.as_str(), word);
            assert_eq!(
                status.is_pending(),
                word.starts_with("pending") || word == "uninstalling"
            );
        }
        assert_eq!("of helm 9".parse(), Ok(ReleaseStatus::Unknown));
        let read: ReleaseStatus = serde_json::from_str("\"of helm 9\"").unwrap();
        assert_eq!(read, ReleaseStatus::Unknown);
    }
}
