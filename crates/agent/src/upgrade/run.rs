//! Carries an upgrade out on the agent's own Deployment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use c7n_link::messages::{Say, UpgradeAgent};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::plan::{Mark, Order, Seen, Step, decide};
use crate::cluster::{ClusterError, deadline};
use crate::commands::{self, OrderResult};
use crate::config::Place;
use crate::session::Outgoing;

/// What is under way, for the next leader and for people.
const ANNOTATION: &str = "choerodon.io/upgrade";
/// The agent's container in its pod.
const CONTAINER: &str = "agent";
const FIELD_MANAGER: &str = "c7n-upgrade";
const LOOK: Duration = Duration::from_secs(2);
/// The shortest and the longest that a new version may take.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(1800));
/// An API server that does not answer is asked this long after the new version should have reported.
const BEYOND: Duration = Duration::from_secs(60);

/// A cheap handle.
#[derive(Clone)]
pub struct Upgrades {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    own: Option<Place>,
    outgoing: Outgoing,
    works: TaskTracker,
    work: CancellationToken,
    /// The command that is being carried out.
    running: Mutex<Option<String>>,
}

impl Upgrades {
    /// `own`: the agent's Deployment, where it is run by one.
    pub fn new(
        client: Client,
        own: Option<Place>,
        outgoing: Outgoing,
        works: TaskTracker,
        work: CancellationToken,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                client,
                own,
                outgoing,
                works,
                work,
                running: Mutex::default(),
            }),
        }
    }

    /// Begins it, or goes on with it; said again while it runs, it changes nothing.
    pub fn ordered(&self, id: String, upgrade: UpgradeAgent) {
        let mut running = self.running();
        match running.as_deref() {
            Some(same) if same == id => return,
            Some(_) => {
                let words = "another upgrade is under way; give it again when that has ended";
                return self.answer(&id, &OrderResult::failed(words));
            }
            None => *running = Some(id.clone()),
        }
        drop(running);
        let (upgrades, work) = (self.clone(), self.inner.work.clone());
        self.inner.works.spawn(async move {
            let order = Order {
                id: id.clone(),
                image: upgrade.image,
                patience_ms: i64::try_from(upgrade.patience_ms).unwrap_or(i64::MAX),
            };
            // Who leads next goes on with it; there is nothing to say now.
            let ended = tokio::select! {
                () = work.cancelled() => None,
                result = upgrades.carry_out(order) => Some(result),
            };
            *upgrades.running() = None;
            if let Some(result) = ended {
                upgrades.answer(&id, &result);
            }
        });
    }

    async fn carry_out(&self, mut order: Order) -> OrderResult {
        let Some(own) = &self.inner.own else {
            return OrderResult::failed(
                "this agent does not know a Deployment that runs it; upgrade it where it was started, for instance with \
                 `helm upgrade`",
            );
        };
        let patience = Duration::from_millis(order.patience_ms.unsigned_abs()).clamp(PATIENCE.0, PATIENCE.1);
        order.patience_ms = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
        let deployments: Api<Deployment> = Api::namespaced(self.inner.client.clone(), &own.namespace);
        let give_up = Instant::now() + patience + BEYOND;
        loop {
            match self.step(&deployments, own, &order).await {
                Ok(Some(result)) => return result,
                Ok(None) => {}
                Err(error) if error.is_lasting() || Instant::now() >= give_up => {
                    return OrderResult::failed(format!("the agent cannot upgrade itself: {error}"));
                }
                Err(error) => tracing::warn!(%error, "the upgrade goes on when the API server answers"),
            }
            sleep(LOOK).await;
        }
    }

    async fn step(
        &self,
        deployments: &Api<Deployment>,
        own: &Place,
        order: &Order,
    ) -> Result<Option<OrderResult>, ClusterError> {
        let found = deadline("its own Deployment", deployments.get(&own.name)).await?;
        let Some(image) = image(&found) else {
            let words = format!("the Deployment {} has no container {CONTAINER}", own.name);
            return Ok(Some(OrderResult::failed(words)));
        };
        let mut seen = Seen {
            mark: mark(&found),
            rolled_out: rolled_out(&found),
            trouble: None,
            image,
        };
        if !seen.rolled_out && seen.image == order.image {
            seen.trouble = self.trouble(own, &found, &order.image).await;
        }
        let version = found.metadata.resource_version.clone();
        match decide(order, &seen, now_ms()) {
            Step::Wait => Ok(None),
            Step::Succeeded(words) => Ok(Some(OrderResult::succeeded(words))),
            Step::Failed(words) => Ok(Some(OrderResult::failed(words))),
            Step::Begin(mark) => {
                tracing::info!(from = mark.from, to = mark.to, "the agent is being upgraded");
                self.write(deployments, own, version, &mark, &mark.to).await
            }
            Step::Return(mark) => {
                tracing::warn!(
                    from = mark.from,
                    to = mark.to,
                    "the new version did not report; the old one is taken back"
                );
                self.write(deployments, own, version, &mark, &mark.from).await
            }
        }
    }

    /// Compare-and-swap: what changed meanwhile is looked at again.
    async fn write(
        &self,
        deployments: &Api<Deployment>,
        own: &Place,
        version: Option<String>,
        mark: &Mark,
        image: &str,
    ) -> Result<Option<OrderResult>, ClusterError> {
        let text = serde_json::to_string(mark).unwrap_or_default();
        let patch = json!({
            "metadata": { "resourceVersion": version, "annotations": { ANNOTATION: text } },
            "spec": { "template": { "spec": { "containers": [{ "name": CONTAINER, "image": image }] } } },
        });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PatchParams::default()
        };
        let patch = Patch::Strategic(&patch);
        match deadline("its own upgrade", deployments.patch(&own.name, &params, &patch)).await {
            Ok(_) => Ok(None),
            Err(error) if error.is_status(409) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Why the pods of the new image are not ready, as far as their status says.
    async fn trouble(&self, own: &Place, deployment: &Deployment, image: &str) -> Option<String> {
        let labels = deployment.spec.as_ref()?.selector.match_labels.as_ref()?;
        let selector: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let pods: Api<Pod> = Api::namespaced(self.inner.client.clone(), &own.namespace);
        let params = ListParams::default().labels(&selector.join(","));
        let found = deadline("its own pods", pods.list(&params)).await.ok()?;
        found
            .items
            .iter()
            .filter(|pod| {
                let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice());
                containers.and_then(own_image).as_deref() == Some(image)
            })
            .find_map(pod_trouble)
    }

    fn answer(&self, id: &str, result: &OrderResult) {
        self.inner.outgoing.post(Say::Result(commands::write(id, result)));
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

fn own_image(containers: &[Container]) -> Option<String> {
    let own = containers.iter().find(|container| container.name == CONTAINER)?;
    own.image.clone()
}

fn image(deployment: &Deployment) -> Option<String> {
    own_image(&deployment.spec.as_ref()?.template.spec.as_ref()?.containers)
}

fn mark(deployment: &Deployment) -> Option<Mark> {
    let text = deployment.metadata.annotations.as_ref()?.get(ANNOTATION)?;
    serde_json::from_str(text).ok()
}

/// As `kubectl rollout status` judges it.
fn rolled_out(deployment: &Deployment) -> bool {
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let Some(status) = &deployment.status else {
        return false;
    };
    status.observed_generation >= deployment.metadata.generation
        && status.updated_replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted
        && status.replicas.unwrap_or(0) == wanted
}

fn pod_trouble(pod: &Pod) -> Option<String> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let status = pod.status.as_ref()?;
    let words = |reason: Option<&str>, message: Option<&str>| {
        let text: Vec<&str> = reason.into_iter().chain(message).collect();
        format!("pod {name}: {}", text.join(": "))
    };
    for container in status.container_statuses.iter().flatten() {
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        if let Some(waiting) = waiting.filter(|it| it.reason.as_deref() != Some("ContainerCreating")) {
            return Some(words(waiting.reason.as_deref(), waiting.message.as_deref()));
        }
    }
    let conditions = status.conditions.as_deref().unwrap_or_default();
    conditions
        .iter()
        .find(|it| it.status == "False" && it.message.is_some())
        .map(|it| words(it.reason.as_deref(), it.message.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(status: serde_json::Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": { "name": "agent", "generation": 3, "annotations": {
                ANNOTATION: r#"{"id":"c1","from":"agent:1","to":"agent:2","deadline_ms":5}"#,
            }},
            "spec": {
                "replicas": 2,
                "selector": { "matchLabels": { "app": "agent" } },
                "template": { "spec": { "containers": [
                    { "name": "beside", "image": "other:1" }, { "name": "agent", "image": "agent:2" },
                ]}},
            },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_rollout_has_ended_when_every_pod_is_new_and_no_old_one_is_left() {
        let status = |generation: i64, updated: i32, available: i32, all: i32| json!({ "observedGeneration": generation, "updatedReplicas": updated, "availableReplicas": available, "replicas": all });
        for (status, expected) in [
            (status(3, 2, 2, 2), true),
            (status(2, 2, 2, 2), false),
            (status(3, 1, 2, 2), false),
            (status(3, 2, 1, 2), false),
            (status(3, 2, 2, 3), false),
            (json!({}), false),
        ] {
            assert_eq!(rolled_out(&deployment(status.clone())), expected, "{status}");
        }
    }

    #[test]
    fn image_and_mark_are_read_from_the_right_places() {
        let found = deployment(json!({}));
        assert_eq!(image(&found).as_deref(), Some("agent:2"));
        assert_eq!(mark(&found).unwrap().from, "agent:1");
    }

    #[test]
    fn the_pod_says_why_it_does_not_start() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": "agent-x" },
            "status": {
                "conditions": [{ "type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "not ready" }],
                "containerStatuses": [{
                    "name": "agent", "image": "agent:2", "imageID": "", "ready": false, "restartCount": 0,
                    "state": { "waiting": { "reason": "ErrImageNeverPull", "message": "is not present" } },
                }],
            },
        }))
        .unwrap();
        assert_eq!(
            pod_trouble(&pod).as_deref(),
            Some("pod agent-x: ErrImageNeverPull: is not present")
        );
    }
}
