//! `c7n logs`, `exec`, `cp` and `port-forward` as a person and a script use them, on a real node.

mod api;
mod breaks;
mod canary;
mod copies;
mod cutter;
mod forward;
pub mod logs;
mod processes;
mod rights;
mod shell;
pub mod two_clusters;
mod without_tar;

use std::process::Output;

use anyhow::{Context, Result, ensure};
use c7n_api::{InstanceDetail, LiveObject};
use c7n_testbed::stack::eventually;

use crate::stand::{PATIENCE, Stand, StandEnvironment};

/// A platform with a cluster and an environment; pods are put there without a delivery.
pub struct Scene {
    pub stand: Stand,
    pub environment: StandEnvironment,
}

impl Scene {
    /// `None`, and said so, where no containers run.
    pub async fn open(name: &str) -> Result<Option<Self>> {
        Self::with(Stand::with_cluster(name).await?).await
    }

    pub async fn with(stand: Stand) -> Result<Option<Self>> {
        if !stand.has_real_node("east").await? {
            eprintln!("NOT RUN: streams of containers need a real node, and cluster A has none");
            return Ok(None);
        }
        let environment = stand.environment("staging").await?;
        Ok(Some(Self { stand, environment }))
    }

    /// A pod that runs this script, of an instance if one is named.
    pub async fn pod(&self, name: &str, instance: &str, script: &str) -> Result<()> {
        let labels = match instance {
            "" => serde_json::json!({}),
            instance => serde_json::json!({ "choerodon.io/release": instance }),
        };
        let pod = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name, "namespace": self.environment.namespace, "labels": labels },
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": "app",
                    "image": "c7n.local/sample:1",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", script],
                }],
            },
        });
        self.environment.kubectl.apply(&pod.to_string()).await
    }

    /// A pod that does nothing and can be entered.
    pub async fn idle_pod(&self, name: &str, instance: &str) -> Result<()> {
        self.pod(name, instance, "trap exit TERM; while :; do sleep 1; done")
            .await?;
        self.runs(name).await
    }

    /// Until a pod runs and the platform knows it.
    pub async fn runs(&self, name: &str) -> Result<()> {
        let what = format!("pod {name} runs");
        eventually(&what, PATIENCE, || async {
            let live: Vec<LiveObject> = self.stand.objects("staging").await?;
            let pod = live
                .iter()
                .find(|object| object.kind == "Pod" && object.name == name)
                .context("the platform does not know it")?;
            let phase = pod.summary.get("phase").map(String::as_str);
            let ready = pod.summary.get("ready").map(String::as_str);
            ensure!(
                phase == Some("Running") && ready == Some("1/1"),
                "it is {:?}",
                pod.summary
            );
            Ok(())
        })
        .await
        .map_err(|error| self.stand.explain(error))
    }

    /// Until an instance has so many pods that are ready.
    pub async fn instance(&self, name: &str, pods: u32) -> Result<()> {
        eventually(&format!("instance {name} is there"), PATIENCE, || async {
            let found: InstanceDetail = self
                .stand
                .cli
                .json(&[
                    "instance",
                    "show",
                    "-p",
                    &self.stand.project,
                    "-e",
                    "staging",
                    name,
                ])
                .await?;
            ensure!(
                found.instance.vitals.pods_ready == pods,
                "{:?}",
                found.instance.vitals
            );
            Ok(())
        })
        .await
    }

    /// `c7n VERB -p PROJECT -e staging REST...`
    pub fn arguments<'a>(&'a self, verb: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
        [&[verb, "-p", &self.stand.project, "-e", "staging"], rest].concat()
    }

    pub async fn output(&self, verb: &str, rest: &[&str]) -> Result<Output> {
        let arguments = self.arguments(verb, rest);
        tokio::time::timeout(2 * PATIENCE, self.stand.cli.output(&arguments))
            .await
            .with_context(|| format!("c7n {} does not end", arguments.join(" ")))?
    }

    /// What it printed; an error with what it complained of.
    pub async fn run(&self, verb: &str, rest: &[&str]) -> Result<String> {
        let output = self.output(verb, rest).await?;
        ensure!(
            output.status.success(),
            "c7n {verb} {rest:?}: {}: {}",
            output.status,
            complaint(&output)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

pub fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
