//! Stop and start: workloads to zero and back. The sizes are in the status before the first one is changed, so that a
//! kill at any moment loses none. What Helm writes of a stopped release runs nothing from the first: then its record has
//! the sizes that are new.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::{Job, Verdict};
use crate::cluster::{ClusterError, KindName, deadline};
use crate::releases::crd::FIELD_MANAGER;
use crate::releases::history::Revision;
use crate::releases::manifest::Made;
use crate::releases::memory::Prospect;
use crate::releases::sizes::{self, Sized, Workload};
use crate::releases::spec::{Running, Wish};
use crate::releases::status::{Phase, Report};

/// Workloads that are asked for or changed at once.
const AT_ONCE: usize = 8;

/// What became of a stop.
enum Down {
    /// It was so already.
    Before,
    Now {
        made: Vec<Made>,
    },
}

impl Job {
    pub(super) async fn stop(mut self, wish: &Wish) -> Result<Verdict, ClusterError> {
        match self.bring_down().await? {
            Ok(Down::Before) => {
                self.flush().await?;
                Ok(Verdict::DriftChecked)
            }
            Ok(Down::Now { made }) => {
                let words = sizes::told(&made);
                self.report(&Report::Stopped { words: &words });
                self.flush().await?;
                Ok(Verdict::Done)
            }
            Err(words) => self.size_failed(wish, "StopFailed", &words).await,
        }
    }

    /// Before Helm writes a release that is to be stopped: what runs is brought down, and its sizes are remembered.
    /// Afterwards nobody could tell them any more.
    pub(super) async fn stop_first(&mut self, wish: &Wish) -> Result<Result<(), String>, ClusterError> {
        if wish.running == Running::Started {
            return Ok(Ok(()));
        }
        let is_deployed = |it: &Revision| it.status == c7n_helm::ReleaseStatus::Deployed;
        if !self.history.values().any(is_deployed) {
            // Whatever is made next is newer.
            self.status.stopped_replicas.get_or_insert_default();
            self.status.stopped_revision = Some(0);
            return Ok(Ok(()));
        }
        if self.status.stopped_replicas.is_none() {
            return Ok(self.bring_down().await?.map(drop));
        }
        let sized = self.status.revision.unwrap_or_default();
        self.status.stopped_revision.get_or_insert(sized);
        Ok(Ok(()))
    }

    async fn bring_down(&mut self) -> Result<Result<Down, String>, ClusterError> {
        let (revision, made) = match self.deployed_objects().await {
            Ok(deployed) => deployed,
            Err(words) => return Ok(Err(words)),
        };
        let live = self.look(&sizes::workloads(&made)).await?;
        let remembered = self.status.stopped_replicas.clone();
        let sized = self.status.stopped_revision.or(self.written.revision);
        let wanted = match &remembered {
            Some(known) if sized != Some(revision) => sizes::of_newer(known, &live),
            known => sizes::to_remember(known.as_ref(), &live),
        };
        let running: Vec<&Sized> = live.iter().filter(|it| it.size > 0).collect();
        if running.is_empty()
            && self.status.phase == Some(Phase::Stopped)
            && remembered.as_ref() == Some(&wanted)
        {
            return Ok(Ok(Down::Before));
        }
        self.status.stopped_replicas = Some(wanted);
        self.status.stopped_revision = Some(revision);
        self.report(&Report::Working {
            phase: Phase::Stopping,
            words: "workloads are scaled to zero",
        });
        self.flush().await?;
        let targets = running.iter().map(|it| (it.workload.clone(), 0)).collect();
        if let Err(words) = self.resize(targets).await {
            return Ok(Err(words));
        }
        tracing::info!(release = %self.release.id, workloads = running.len(), "stopped");
        Ok(Ok(Down::Now { made }))
    }

    pub(super) async fn start(mut self, wish: &Wish) -> Result<Verdict, ClusterError> {
        let sizes = self.status.stopped_replicas.clone().unwrap_or_default();
        self.report(&Report::Working {
            phase: Phase::Starting,
            words: "workloads get their sizes back",
        });
        self.flush().await?;
        let made = match self.deployed_objects().await {
            Ok((_, made)) => made,
            Err(words) => return self.size_failed(wish, "StartFailed", &words).await,
        };
        let workloads = sizes::workloads(&made);
        let targets: Vec<(Workload, i64)> = workloads
            .iter()
            .filter_map(|workload| Some((workload.clone(), *sizes.get(&workload.title())?)))
            .collect();
        let count = targets.len();
        if let Err(words) = self.resize(targets.clone()).await {
            return self.size_failed(wish, "StartFailed", &words).await;
        }
        // What the chart sets is the chart's again, so that its next change of it is no conflict.
        for (workload, size) in targets {
            if workload.of_chart == Some(size)
                && let Some(object) = made.iter().find(|it| it.title() == workload.title())
                && let Err(error) = self.put_back(object, None).await
            {
                tracing::debug!(release = %self.release.id, object = workload.title(), %error, "a size stays this agent's own");
            }
        }
        tracing::info!(release = %self.release.id, workloads = count, "started");
        self.status.stopped_replicas = None;
        self.status.stopped_revision = None;
        self.report(&Report::Running);
        self.flush().await?;
        Ok(Verdict::Done)
    }

    pub(super) async fn size_failed(
        mut self,
        wish: &Wish,
        reason: &'static str,
        words: &str,
    ) -> Result<Verdict, ClusterError> {
        if self.stops.any.is_cancelled() {
            return Ok(Verdict::BrokenOff);
        }
        tracing::warn!(release = %self.release.id, reason, error = words, "sizes could not be changed; it is tried again");
        self.report(&Report::Failed { reason, words });
        self.flush().await?;
        Ok(Verdict::Failed {
            digest: wish.attempt(),
            prospect: Prospect::Passing,
        })
    }

    /// The newest deployed revision, and what it is made of.
    pub(super) async fn deployed_objects(&self) -> Result<(u32, Vec<Made>), String> {
        let deployed = self
            .history
            .values()
            .rev()
            .find(|it| it.status == c7n_helm::ReleaseStatus::Deployed)
            .ok_or_else(|| "no revision is deployed".to_owned())?;
        let made = self.hand.manifest(&self.release.id, deployed.number).await;
        made.map(|made| (deployed.number, made))
            .map_err(|error| error.to_string())
    }

    /// The sizes that the workloads have now; those that are not there are left out.
    async fn look(&self, workloads: &[Workload]) -> Result<Vec<Sized>, ClusterError> {
        let looks: Vec<BoxFuture<'_, _>> = workloads.iter().map(|it| self.look_at_size(it).boxed()).collect();
        let found: Vec<Result<Option<Sized>, ClusterError>> =
            stream::iter(looks).buffered(AT_ONCE).collect().await;
        found.into_iter().filter_map(Result::transpose).collect()
    }

    async fn resize(&self, targets: Vec<(Workload, i64)>) -> Result<(), String> {
        let calls: Vec<BoxFuture<'_, _>> = targets
            .iter()
            .map(|(workload, size)| self.resize_one(workload, *size).boxed())
            .collect();
        let outcomes: Vec<Result<(), String>> = stream::iter(calls).buffered(AT_ONCE).collect().await;
        let wrong: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("; "))
        }
    }

    async fn resize_one(&self, workload: &Workload, size: i64) -> Result<(), String> {
        match resize(&self.workloads_of(workload), workload, size).await {
            Ok(()) => Ok(()),
            // It has gone: there is nothing to size.
            Err(error) if error.is_status(404) => Ok(()),
            Err(error) => Err(format!("{}: {error}", workload.title())),
        }
    }

    async fn look_at_size(&self, workload: &Workload) -> Result<Option<Sized>, ClusterError> {
        let api = self.workloads_of(workload);
        let found = deadline("a workload", api.get_opt(&workload.name)).await?;
        Ok(found.map(|object| Sized {
            size: sizes::size_of(&workload.kind, &json!(object)),
            workload: workload.clone(),
        }))
    }

    fn workloads_of(&self, workload: &Workload) -> Api<DynamicObject> {
        let client: Client = self.hand.client.clone();
        let name = KindName::new(workload.group(), workload.kind.clone());
        let kinds = self.hand.discovery.kinds();
        // Every API server has these three.
        let resource = kinds
            .preferred(&name)
            .map_or_else(|| workload.resource(), |info| info.resource.clone());
        Api::namespaced_with(client, &workload.namespace, &resource)
    }
}

async fn resize(api: &Api<DynamicObject>, workload: &Workload, size: i64) -> Result<(), ClusterError> {
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let merge = |patch: Value| Patch::Merge(patch);
    if workload.kind == "CronJob" {
        let patch = merge(json!({ "spec": { "suspend": size == 0 } }));
        return deadline("a CronJob", api.patch(&workload.name, &params, &patch))
            .await
            .map(drop);
    }
    let patch = merge(json!({ "spec": { "replicas": size } }));
    deadline("a scale", api.patch_scale(&workload.name, &params, &patch))
        .await
        .map(drop)
}
