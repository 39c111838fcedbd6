//! The end of a release: uninstalled first, then its object may go.

use std::time::Duration;

use c7n_helm::{EngineError, History as Keep, Uninstall};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use super::{Job, Verdict};
use crate::cluster::{ClusterError, deadline};
use crate::environments::Resident;
use crate::releases::hand::{Hand, now_ms};
use crate::releases::release::Release;
use crate::releases::spec::{DEFAULT_TIMEOUT, OnDelete};
use crate::releases::status::{Phase, Report};

/// A whole environment does not wait longer for one release that cannot be uninstalled.
pub const ENVIRONMENT_PATIENCE: Duration = Duration::from_secs(120);
/// In a namespace that is being deleted nothing can be made any more, hooks neither.
const NAMESPACE_PATIENCE: Duration = Duration::from_secs(20);

/// Whether the object has waited long enough for an uninstall that does not go well.
pub async fn is_given_up(hand: &Hand, release: &Release, resident: &Resident) -> Result<bool, ClusterError> {
    let Some(since) = release.deleting_since_ms else {
        return Ok(false);
    };
    let waited = Duration::from_millis(now_ms().saturating_sub(since).max(0).unsigned_abs());
    if waited < NAMESPACE_PATIENCE {
        return Ok(false);
    }
    if resident.leaving && waited >= ENVIRONMENT_PATIENCE {
        return Ok(true);
    }
    let namespaces: Api<Namespace> = Api::all(hand.client.clone());
    let asked = namespaces.get_metadata_opt(&release.id.namespace);
    let found = match deadline("a namespace", asked).await {
        Ok(found) => found,
        // An agent of single namespaces hears of its end from the platform.
        Err(error) if error.is_status(403) => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(found.is_none_or(|found| found.metadata.deletion_timestamp.is_some()))
}

impl Job {
    pub(super) async fn uninstall(mut self, on_delete: OnDelete) -> Result<Verdict, ClusterError> {
        let id = self.release.id.clone();
        self.report(&Report::Working {
            phase: Phase::Uninstalling,
            words: "the release is being uninstalled",
        });
        self.flush().await?;
        let Some(permit) = self.permit().await else {
            return Ok(Verdict::BrokenOff);
        };
        let timeout = self
            .release
            .wish
            .as_ref()
            .map_or(DEFAULT_TIMEOUT, |wish| wish.timeout);
        let request = Uninstall {
            id: id.clone(),
            history: match on_delete {
                OnDelete::ForgetHistory => Keep::Forget,
                OnDelete::KeepHistory => Keep::Keep,
            },
            timeout,
        };
        tracing::info!(release = %id, "uninstalling");
        let outcome = self.hand.engine.uninstall(request, &self.stops.any).await;
        drop(permit);
        match outcome {
            Ok(_) | Err(EngineError::NotFound { .. }) => {
                self.hand.remove_finalizer(&self.release).await?;
                Ok(Verdict::Done)
            }
            Err(EngineError::Cancelled) if self.stops.shutdown.is_cancelled() => Ok(Verdict::BrokenOff),
            Err(error) => {
                tracing::warn!(release = %id, %error, "the release is not uninstalled yet");
                self.status.report_hooks(error.hooks());
                let words = format!("it cannot be uninstalled: {error}");
                self.report(&Report::Failed {
                    reason: "UninstallFailed",
                    words: &words,
                });
                self.flush().await?;
                Ok(Verdict::UninstallFailed)
            }
        }
    }
}
