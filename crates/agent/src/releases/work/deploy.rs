//! Install, upgrade, roll back: the status says so first, then Helm works, then the status says what became of it.

use std::time::Duration;

use c7n_helm::{
    Chart, ClusterKinds, Conflicts, Deployment, Done, EngineError, Install, Labels,
    OnFailure as EngineOnFailure, Ownership, Rollback, Upgrade, Values, Workloads,
};
use tokio::time::timeout;

use super::supplies::{Missing, Supplies};
use super::{Job, Verdict};
use crate::cluster::ClusterError;
use crate::releases::memory::Prospect;
use crate::releases::plan::Cause;
use crate::releases::source::Fetched;
use crate::releases::spec::{DriftPolicy, OnFailure, Running, Wish};
use crate::releases::status::{Deployed, Phase, Report};

/// An engine that does not keep its own deadline is not waited for much longer.
const BEYOND: Duration = Duration::from_secs(60);

impl Job {
    pub(super) async fn install(mut self, wish: &Wish) -> Result<Verdict, ClusterError> {
        if let Err(words) = self.stop_first(wish).await? {
            return self.size_failed(wish, "StopFailed", &words).await;
        }
        self.begin(Phase::Installing, &format!("installing {}", wish.chart()))
            .await?;
        let supplies = match self.supplies(wish).await {
            Ok(supplies) => supplies,
            Err(missing) => return self.missing(wish, missing).await,
        };
        let request = Install {
            deployment: self.deployment(wish, &supplies),
            conflicts: Conflicts::Report,
        };
        let Some(permit) = self.permit().await else {
            return self.broken_off().await;
        };
        tracing::info!(release = %self.release.id, chart = wish.chart(), "installing");
        let work = self.hand.engine.install(request, &self.stops.any);
        let outcome = in_time(wish.timeout, work).await;
        drop(permit);
        self.ended(
            wish,
            outcome,
            Some(&supplies.fetched),
            "InstallFailed",
            "installed",
        )
        .await
    }

    pub(super) async fn upgrade(mut self, wish: &Wish, cause: Cause) -> Result<Verdict, ClusterError> {
        if let Err(words) = self.stop_first(wish).await? {
            return self.size_failed(wish, "StopFailed", &words).await;
        }
        let words = self.words(wish, cause);
        self.begin(Phase::Upgrading, &words).await?;
        let supplies = match self.supplies(wish).await {
            Ok(supplies) => supplies,
            Err(missing) => return self.missing(wish, missing).await,
        };
        let request = Upgrade {
            deployment: self.deployment(wish, &supplies),
            conflicts: self.first_conflicts(),
            on_failure: on_failure(wish),
        };
        let Some(permit) = self.permit().await else {
            return self.broken_off().await;
        };
        tracing::info!(release = %self.release.id, chart = wish.chart(), ?cause, "upgrading");
        let work = self.hand.engine.upgrade(request.clone(), &self.stops.any);
        let mut outcome = in_time(wish.timeout, work).await;
        if let Err(error) = &outcome
            && may_overwrite(error, wish)
        {
            tracing::info!(release = %self.release.id, %error, "fields that were changed by hand are taken back");
            let request = Upgrade {
                conflicts: Conflicts::Overwrite,
                ..request
            };
            let work = self.hand.engine.upgrade(request, &self.stops.any);
            outcome = in_time(wish.timeout, work).await;
        }
        drop(permit);
        self.ended(wish, outcome, Some(&supplies.fetched), "UpgradeFailed", &words)
            .await
    }

    pub(super) async fn roll_back(mut self, wish: &Wish, revision: u32) -> Result<Verdict, ClusterError> {
        if let Err(words) = self.stop_first(wish).await? {
            return self.size_failed(wish, "StopFailed", &words).await;
        }
        let words = format!("back to revision {revision} ({})", wish.chart());
        self.begin(Phase::RollingBack, &words).await?;
        let request = Rollback {
            id: self.release.id.clone(),
            revision,
            cluster_kinds: self.cluster_kinds(),
            timeout: wish.timeout,
            workloads: workloads(wish),
            conflicts: self.first_conflicts(),
            on_failure: on_failure(wish),
        };
        let Some(permit) = self.permit().await else {
            return self.broken_off().await;
        };
        tracing::info!(release = %self.release.id, revision, "rolling back");
        let work = self.hand.engine.rollback(request.clone(), &self.stops.any);
        let mut outcome = in_time(wish.timeout, work).await;
        if let Err(error) = &outcome
            && may_overwrite(error, wish)
        {
            let request = Rollback {
                conflicts: Conflicts::Overwrite,
                ..request
            };
            let work = self.hand.engine.rollback(request, &self.stops.any);
            outcome = in_time(wish.timeout, work).await;
        }
        drop(permit);
        self.ended(wish, outcome, None, "RollbackFailed", &words).await
    }

    /// Written before anything is done: what a kill leaves pending is then known as ours.
    async fn begin(&mut self, phase: Phase, words: &str) -> Result<(), ClusterError> {
        self.report(&Report::Working { phase, words });
        self.flush().await
    }

    async fn ended(
        mut self,
        wish: &Wish,
        outcome: Result<Done, EngineError>,
        fetched: Option<&Fetched>,
        reason: &'static str,
        words: &str,
    ) -> Result<Verdict, ClusterError> {
        let done = match outcome {
            Ok(done) => done,
            Err(error) => return self.failed(wish, &error, reason).await,
        };
        self.status.report_hooks(&done.hooks);
        let commit = self.release.commit.clone();
        let now = crate::releases::hand::timestamp();
        let deployed = Deployed {
            revision: done.revision,
            chart: &done.chart,
            chart_digest: fetched.map(|fetched| fetched.digest.as_str()),
            digest: &wish.digest,
            commit: &commit,
            kept: &self.history,
            words,
        };
        let generation = self.release.generation;
        self.status
            .report(&Report::Released { deployed }, generation, &now);
        self.status.report_drift(None, self.release.generation, &now);
        tracing::info!(release = %self.release.id, revision = done.revision, chart = done.chart, "deployed");
        self.hand
            .watch_what_was_made(&self.release.id, done.revision, wish.digest.as_str())
            .await;
        match wish.running {
            Running::Started if self.status.stopped_replicas.is_none() => {
                self.report(&Report::Running);
                self.flush().await?;
                Ok(Verdict::Done)
            }
            // Sizes are seen to before anything else can begin.
            Running::Started => self.start(wish).await,
            Running::Stopped => {
                self.history = self.hand.history(&self.release.id).await?;
                self.stop(wish).await
            }
        }
    }

    async fn failed(
        mut self,
        wish: &Wish,
        error: &EngineError,
        reason: &'static str,
    ) -> Result<Verdict, ClusterError> {
        if matches!(error, EngineError::Cancelled) || self.stops.any.is_cancelled() {
            return self.broken_off().await;
        }
        let prospect = if error.may_pass() {
            Prospect::Passing
        } else {
            Prospect::Lasting
        };
        tracing::warn!(release = %self.release.id, %error, reason, "a Helm operation failed");
        self.status.report_hooks(error.hooks());
        if let EngineError::RolledBack { .. } = error {
            // The revision that came back is a new one: without its number it would pass for one made by hand.
            self.history = self.hand.history(&self.release.id).await?;
            if let Some(revision) = self.history.keys().next_back() {
                let now = crate::releases::hand::timestamp();
                self.status.report_rolled_back(*revision, &self.history, &now);
            }
        }
        let words = error.to_string();
        self.report(&Report::Failed {
            reason: reason_of(error, reason),
            words: &words,
        });
        self.flush().await?;
        Ok(Verdict::Failed {
            digest: wish.attempt(),
            prospect,
        })
    }

    async fn missing(mut self, wish: &Wish, missing: Missing) -> Result<Verdict, ClusterError> {
        match missing {
            Missing::Cancelled => self.broken_off().await,
            Missing::Failed {
                reason,
                words,
                prospect,
            } => {
                tracing::warn!(release = %self.release.id, reason, error = words, "a Helm operation cannot begin");
                self.report(&Report::Failed {
                    reason,
                    words: &words,
                });
                self.flush().await?;
                Ok(Verdict::Failed {
                    digest: wish.attempt(),
                    prospect,
                })
            }
        }
    }

    fn deployment(&self, wish: &Wish, supplies: &Supplies) -> Deployment {
        Deployment {
            id: self.release.id.clone(),
            chart: Chart {
                archive: supplies.fetched.archive.clone(),
            },
            values: Values::from(wish.values.clone()),
            labels: Labels {
                environment: self.resident.id.to_string(),
                commit: self.release.commit.clone(),
            },
            cluster_kinds: self.cluster_kinds(),
            spec_digest: wish.digest.clone(),
            timeout: wish.timeout,
            provenance: supplies.provenance(),
            ownership: Ownership::Respect,
            workloads: workloads(wish),
        }
    }

    /// What a chart may hold is what a file may hold.
    fn cluster_kinds(&self) -> ClusterKinds {
        ClusterKinds::Only(self.resident.cluster_kinds.clone())
    }

    /// Sizes that this controller wrote itself are no reason to fail.
    fn first_conflicts(&self) -> Conflicts {
        if self.status.stopped_replicas.is_some() {
            Conflicts::Overwrite
        } else {
            Conflicts::Report
        }
    }

    /// For people: from what to what.
    fn words(&self, wish: &Wish, cause: Cause) -> String {
        let chart = wish.chart();
        match (cause, &self.status.chart) {
            (Cause::Adoption, _) => format!("a release that was made with helm is taken over as {chart}"),
            (Cause::Again, _) => format!("{chart} is tried again"),
            (Cause::ByHand, _) => format!("what was made by hand is replaced by {chart}"),
            (Cause::Changed, Some(before)) if !before.starts_with(&format!("{}-", wish.chart_name)) => {
                format!("from the chart {before} to another, {chart}")
            }
            (Cause::Changed, Some(before)) if *before != chart => format!("from {before} to {chart}"),
            (Cause::Changed, _) => format!("{chart} with other values"),
        }
    }
}

fn workloads(wish: &Wish) -> Workloads {
    match wish.running {
        Running::Started => Workloads::AsAsked,
        Running::Stopped => Workloads::Stopped,
    }
}

fn on_failure(wish: &Wish) -> EngineOnFailure {
    match wish.on_failure {
        OnFailure::Keep => EngineOnFailure::Keep,
        OnFailure::RollBack => EngineOnFailure::RollBack,
    }
}

async fn in_time<T>(
    meant: Duration,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    // Twice: what fails may be rolled back within the same operation.
    match timeout(meant * 2 + BEYOND, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(EngineError::Timeout { after: meant }),
    }
}

/// Whether the fields that are in the way were only written by hand: by this agent's own hands always, by a person's
/// where drift is repaired. Never an autoscaler's or another controller's (fault 11).
fn may_overwrite(error: &EngineError, wish: &Wish) -> bool {
    let EngineError::Conflict { conflicts } = error else {
        return false;
    };
    !conflicts.is_empty()
        && conflicts.iter().all(|conflict| {
            let manager = conflict.manager.as_str();
            manager.starts_with("c7n-")
                || (wish.drift == DriftPolicy::Repair
                    && (manager.starts_with("kubectl")
                        || manager == "helm"
                        || manager == "before-first-apply"))
        })
}

/// One word for programs.
fn reason_of(error: &EngineError, otherwise: &'static str) -> &'static str {
    match error {
        EngineError::Chart { .. } => "ChartInvalid",
        EngineError::Provenance { .. } => "SignatureInvalid",
        EngineError::Values { .. } => "ValuesInvalid",
        EngineError::Conflict { .. } => "FieldConflict",
        EngineError::NotOurs { .. } => "ObjectNotOurs",
        EngineError::Hook { .. } => "HookFailed",
        EngineError::NotReady { .. } => "NotReady",
        EngineError::RolledBack { .. } => "RolledBack",
        EngineError::Timeout { .. } => "Timeout",
        EngineError::Killed { .. } => "HelmKilled",
        EngineError::Engine { .. } => "HelmUnavailable",
        _ => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use c7n_helm::FieldConflict;
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_taken_back_from_hands_and_never_from_controllers() {
        let wish = |drift: &str| {
            let spec =
                json!({ "chartName": "a", "chartVersion": "1", "repoUrl": "https://x", "drift": drift });
            Wish::read(&spec).ok().unwrap()
        };
        let conflict = |managers: &[&str]| EngineError::Conflict {
            conflicts: managers
                .iter()
                .map(|manager| FieldConflict {
                    object: "Deployment/web".into(),
                    field: ".spec.replicas".into(),
                    manager: (*manager).into(),
                })
                .collect(),
        };
        let (repair, report) = (wish("Repair"), wish("Report"));
        assert!(may_overwrite(&conflict(&["kubectl-edit"]), &repair));
        assert!(!may_overwrite(&conflict(&["kubectl-edit"]), &report));
        assert!(may_overwrite(&conflict(&["c7n-agent-releases"]), &report));
        assert!(!may_overwrite(
            &conflict(&["kubectl-edit", "kube-controller-manager"]),
            &repair
        ));
        assert!(!may_overwrite(&EngineError::Cancelled, &repair));
    }
}
