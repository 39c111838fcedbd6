//! The worker is killed at each call that an install or an upgrade makes of the API server (faults 7): whatever the
//! moment, the release comes to be as it is wanted, and nothing stays that is not.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use c7n_helm::{
    Chart, EngineError, HelmEngine, Recovered, ReleaseId, ReleaseStatus, SpecDigest, WorkerEngine,
};
use c7n_testbed::stack::charts::ChartFolder;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::counting::CountingProxy;
use crate::ground::{Ground, TIME, install, upgrade};
use crate::recovery::kill_workers_of;

/// An operation of the chart below makes far fewer.
const MOST_CALLS: usize = 200;

/// One object that always is, one that depends on the values, and a hook that leaves nothing when it went well.
const TEMPLATE: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: '{{ .Release.Name }}-always'}
data: {part: '{{ .Values.part }}'}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: '{{ .Release.Name }}-{{ .Values.part }}'}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: '{{ .Release.Name }}-hook'
  annotations:
    helm.sh/hook: pre-install,post-install,pre-upgrade,post-upgrade
    helm.sh/hook-delete-policy: hook-succeeded
";

#[derive(Clone, Copy)]
enum Operation {
    Install,
    Upgrade,
}

/// What is wanted when the worker's death is noticed.
#[derive(Clone, Copy)]
enum Then {
    /// The same as before.
    Same,
    /// Something newer was pushed meanwhile.
    Newer,
}

pub async fn at_each_call_leave_nothing_behind(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("kills").await?;
    let chart = ChartFolder::fixture("web")?;
    let chart = ground.pack(
        &chart
            .without("templates/NOTES.txt")
            .without("templates/config.yaml")
            .without("templates/deployment.yaml")
            .without("templates/secret.yaml")
            .without("templates/service.yaml")
            .with("templates/all.yaml", TEMPLATE),
    )?;
    let story = |operation, then| Story {
        ground,
        namespace: &namespace,
        chart: &chart,
        operation,
        then,
    };
    let (one, two, three, four) = tokio::try_join!(
        story(Operation::Install, Then::Same).at_each_call(),
        story(Operation::Install, Then::Newer).at_each_call(),
        story(Operation::Upgrade, Then::Same).at_each_call(),
        story(Operation::Upgrade, Then::Newer).at_each_call(),
    )?;
    eprintln!("         killed at {one}, {two}, {three} and {four} calls");
    // Records, objects and hooks are written at least: fewer calls were not seen by the proxy.
    ensure!(one > 10 && two > 10 && three > 10 && four > 10);
    Ok(())
}

struct Story<'a> {
    ground: &'a Ground,
    namespace: &'a str,
    chart: &'a Chart,
    operation: Operation,
    then: Then,
}

impl Story<'_> {
    fn name(&self, call: usize) -> String {
        let operation = match self.operation {
            Operation::Install => "install",
            Operation::Upgrade => "upgrade",
        };
        let then = match self.then {
            Then::Same => "same",
            Then::Newer => "newer",
        };
        format!("{operation}-{then}-{call}")
    }

    /// How many calls there were to be killed at.
    async fn at_each_call(self) -> Result<usize> {
        for call in 1..MOST_CALLS {
            let name = self.name(call);
            if !self.at_call(call, &name).await.context(name.clone())? {
                return Ok(call - 1);
            }
        }
        anyhow::bail!("an operation that never ends")
    }

    /// Whether the operation came to that call.
    async fn at_call(&self, call: usize, name: &str) -> Result<bool> {
        let id = ReleaseId::new(self.namespace, name);
        if let Operation::Upgrade = self.operation {
            self.ground
                .install(install(&id, self.chart, "part: before"))
                .await?;
        }

        let killed = self.kill_at(call, &id).await?;

        let values = match self.then {
            Then::Same => "part: wanted",
            Then::Newer => "part: newer",
        };
        self.pursue(&id, values).await?;
        self.is_sound(&id, values).await?;
        Ok(killed)
    }

    async fn kill_at(&self, call: usize, id: &ReleaseId) -> Result<bool> {
        let mut options = self.ground.options(&id.name);
        options.processes = 1;
        let proxy = CountingProxy::start(self.ground.client.clone(), &options.home, call).await?;
        options.kubeconfig.clone_from(&proxy.kubeconfig);
        let home = options.home.clone();
        let engine = WorkerEngine::new(options);
        let cancel = CancellationToken::new();
        let work = async {
            match self.operation {
                Operation::Install => {
                    let request = install(id, self.chart, "part: wanted");
                    engine.install(request, &cancel).await
                }
                Operation::Upgrade => {
                    let request = upgrade(id, self.chart, "part: wanted", 2);
                    engine.upgrade(request, &cancel).await
                }
            }
        };
        let mut work = Box::pin(work);
        let killed = tokio::select! {
            outcome = &mut work => {
                outcome.context("nobody killed it")?;
                false
            }
            () = proxy.reached() => {
                kill_workers_of(&home)?;
                let outcome = timeout(TIME, work).await?;
                ensure!(matches!(outcome, Err(EngineError::Killed { .. })), "{outcome:?}");
                true
            }
        };
        engine.shut_down().await;
        Ok(killed)
    }

    /// What the agent's plan does when it comes back: recover what is pending, and then what the labels say.
    async fn pursue(&self, id: &ReleaseId, values: &str) -> Result<()> {
        let engine = &self.ground.engine;
        let cancel = CancellationToken::new();
        let heads = self.ground.store.heads(id).await?;
        if heads.last().is_some_and(|head| head.status.is_pending()) {
            let found = engine.recover(id.clone(), &cancel).await?;
            ensure!(matches!(found, Recovered::MarkedFailed { .. }), "{found:?}");
        }
        let heads = self.ground.store.heads(id).await?;
        let wanted = SpecDigest::of(values);
        let was_good = heads
            .iter()
            .any(|head| matches!(head.status, ReleaseStatus::Deployed | ReleaseStatus::Superseded));
        match heads.last() {
            Some(last) if last.status == ReleaseStatus::Deployed && last.spec_digest == Some(wanted) => {}
            _ if was_good => {
                engine
                    .upgrade(upgrade(id, self.chart, values, 3), &cancel)
                    .await?;
            }
            _ => {
                engine.install(install(id, self.chart, values), &cancel).await?;
            }
        }
        Ok(())
    }

    async fn is_sound(&self, id: &ReleaseId, values: &str) -> Result<()> {
        let heads = self.ground.store.heads(id).await?;
        let shown = format!("{heads:?}");
        let last = heads.last().context("there is no release")?;
        ensure!(last.status == ReleaseStatus::Deployed, "{shown}");
        ensure!(last.spec_digest == Some(SpecDigest::of(values)), "{shown}");
        let deployed = heads.iter().filter(|head| head.status == ReleaseStatus::Deployed);
        ensure!(deployed.count() == 1, "{shown}");
        ensure!(!heads.iter().any(|head| head.status.is_pending()), "{shown}");
        let attempts: u32 = match (self.operation, self.then) {
            (Operation::Install, _) => 2,
            (Operation::Upgrade, _) => 3,
        };
        ensure!(
            last.revision <= attempts && heads.len() == last.revision as usize,
            "{shown}"
        );

        let part = values.trim_start_matches("part: ");
        let wanted: BTreeSet<String> = ["always", part].map(|name| format!("{}-{name}", id.name)).into();
        let maps: Api<ConfigMap> = Api::namespaced(self.ground.client.clone(), self.namespace);
        let found: BTreeSet<String> = maps
            .list(&ListParams::default())
            .await?
            .iter()
            .map(|map| map.name_any())
            .filter(|name| name.starts_with(&format!("{}-", id.name)))
            .collect();
        ensure!(found == wanted, "{found:?}, wanted: {wanted:?}; {shown}");
        Ok(())
    }
}
