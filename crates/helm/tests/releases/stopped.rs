//! A stopped release is installed, upgraded and rolled back without one pod of it beginning to run.

use anyhow::{Context, Result, ensure};
use c7n_helm::{
    ClusterKinds, Conflicts, HelmEngine, Install, OnFailure, ReleaseId, Rollback, Upgrade, Workloads,
};
use c7n_testbed::stack::charts::ChartFolder;
use futures_util::TryStreamExt;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::CronJob;
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::ground::{Ground, TIME, install, upgrade};

/// The chart leaves the size of the one and the pause of the other open.
const MORE: &str = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: '{{ .Release.Name }}'}
spec:
  serviceName: web
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      restartPolicy: Always
      containers:
      - {name: c, image: 'c7n.local/sample:1'}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: '{{ .Release.Name }}'}
spec:
  schedule: '* * * * *'
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers:
          - {name: c, image: 'c7n.local/sample:1'}
";
/// The last thing that a watch is to see.
const END: &str = "tests.c7n.local/end";

pub async fn a_release_runs_at_no_moment(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("stopped").await?;
    let n = namespace.as_str();
    let id = ReleaseId::new(n, "web");
    let chart = ground.pack(&ChartFolder::fixture("web")?.with("templates/more.yaml", MORE))?;
    let cancel = CancellationToken::new();
    let watches = [
        watch::<Deployment>(ground, n, "/spec/replicas").await?,
        watch::<StatefulSet>(ground, n, "/spec/replicas").await?,
        watch::<CronJob>(ground, n, "/spec/suspend").await?,
    ];

    let stopped = |values: &str| {
        let mut request = install(&id, &chart, values);
        request.deployment.workloads = Workloads::Stopped;
        request
    };
    ground.install(stopped("replicas: 2")).await?;
    let Install {
        deployment,
        conflicts,
    } = stopped("replicas: 3");
    ground
        .upgrade(Upgrade {
            deployment,
            conflicts,
            on_failure: OnFailure::Keep,
        })
        .await?;
    let record = ground.store.deployed(&id).await?.context("it is deployed")?;
    assert!(record.manifest.contains("replicas: 3"), "{}", record.manifest);
    let back = Rollback {
        id: id.clone(),
        revision: 1,
        cluster_kinds: ClusterKinds::All,
        timeout: TIME,
        workloads: Workloads::Stopped,
        conflicts: Conflicts::Report,
        on_failure: OnFailure::Keep,
    };
    ground.engine.rollback(back, &cancel).await?;

    for kind in ["deployment", "statefulset", "cronjob"] {
        ground
            .kubectl
            .run(&["annotate", "-n", n, kind, "web", &format!("{END}=yes")])
            .await?;
    }
    let [deployments, sets, schedules] = watches;
    assert_only(&deployments.await??, &json!(0))?;
    assert_only(&sets.await??, &json!(0))?;
    assert_only(&schedules.await??, &json!(true))?;

    // What is not stopped runs: the flag is what kept it.
    ground.upgrade(upgrade(&id, &chart, "replicas: 3", 2)).await?;
    assert_eq!(ground.get(n, "deployment/web").await?["spec"]["replicas"], 3);
    assert_eq!(ground.get(n, "statefulset/web").await?["spec"]["replicas"], 1);
    Ok(())
}

fn assert_only(seen: &[Value], wanted: &Value) -> Result<()> {
    ensure!(!seen.is_empty(), "the watch has seen nothing");
    ensure!(
        seen.iter().all(|value| value == wanted),
        "seen: {seen:?}, wanted: {wanted}"
    );
    Ok(())
}

/// Every value that the field has at any time, until the object bears the annotation.
async fn watch<K>(
    ground: &Ground,
    namespace: &str,
    field: &'static str,
) -> Result<JoinHandle<Result<Vec<Value>>>>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + serde::Serialize
        + Send
        + 'static,
{
    let api: Api<K> = Api::namespaced(ground.client.clone(), namespace);
    let listed = api.list(&ListParams::default()).await?;
    let from = listed.metadata.resource_version.unwrap_or_default();
    Ok(tokio::spawn(async move {
        let mut seen = Vec::new();
        let all = async {
            let events = api.watch(&WatchParams::default().timeout(280), &from).await?;
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.try_next().await? {
                if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event {
                    seen.push(json!(object).pointer(field).cloned().unwrap_or(Value::Null));
                    if object
                        .meta()
                        .annotations
                        .as_ref()
                        .is_some_and(|it| it.contains_key(END))
                    {
                        return Ok(());
                    }
                }
            }
            anyhow::bail!("the watch ended before all was seen")
        };
        timeout(TIME * 4, all).await.context("a watch")??;
        Ok(seen)
    }))
}
