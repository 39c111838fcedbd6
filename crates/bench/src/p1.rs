//! P1: from the return of `git push` to the object written, one file of 1,000 changed.
//!
//! The floor does by hand what cannot be left out: fetch the commit into a bare clone that lies beside the repository, and
//! one server-side apply. Both are timed by the same clock; the write is seen through a plain watch.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::TryStreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::figures::{Times, report};
use crate::stage::{Stage, config_map};

const FILES: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn run(kubeconfig: &Path, rounds: usize) -> Result<Value> {
    let stage = Stage::set(kubeconfig).await?;
    let (environment, copy) = stage.create("p1").await?;
    for number in 0..FILES {
        copy.write(
            &format!("group-{}/object-{number}.yaml", number / 50),
            &config_map(&format!("object-{number}"), "0"),
        )?;
    }
    let first = copy.publish("A thousand files").await?;
    stage.converges("p1", &first).await?;
    eprintln!("{FILES} objects are delivered; {rounds} rounds follow");

    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig)?, &options).await?;
    let client = Client::try_from(config)?;
    let api: Api<ConfigMap> = Api::namespaced(client, &environment.namespace);
    let mut seen = watch(api.clone());
    let floor = Floor::prepare(&stage, &environment.id, api.clone()).await?;

    let (mut measured, mut floor_times) = (Times::default(), Times::default());
    for round in 1..=rounds {
        let number = round * 7 % FILES;
        let name = format!("object-{number}");
        copy.write(
            &format!("group-{}/{name}.yaml", number / 50),
            &config_map(&name, &round.to_string()),
        )?;
        copy.commit(&format!("Round {round}")).await?;
        copy.push().await?;
        let pushed = Instant::now();
        let written = written(&mut seen, &name, &round.to_string()).await?;
        // Written before the push returned to its caller counts as no wait at all.
        measured.push(written.saturating_duration_since(pushed));
        // The tag and the reports of this round are not to fall into the floor.
        tokio::time::sleep(Duration::from_millis(100)).await;
        floor_times.push(floor.once(round).await?);
    }
    stage.clear().await?;
    Ok(report("p1", &measured, Some(&floor_times)))
}

/// Every write of a ConfigMap, with the time at which it was seen.
fn watch(api: Api<ConfigMap>) -> mpsc::Receiver<(Instant, String, String)> {
    let (sender, receiver) = mpsc::channel(1024);
    tokio::spawn(async move {
        let params = WatchParams::default().timeout(290);
        loop {
            let Ok(stream) = api.watch(&params, "0").await else {
                return;
            };
            let mut stream = Box::pin(stream);
            while let Ok(Some(event)) = stream.try_next().await {
                if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event {
                    let value = object
                        .data
                        .unwrap_or_default()
                        .remove("value")
                        .unwrap_or_default();
                    if sender
                        .send((Instant::now(), object.metadata.name.unwrap_or_default(), value))
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            }
        }
    });
    receiver
}

async fn written(
    seen: &mut mpsc::Receiver<(Instant, String, String)>,
    name: &str,
    value: &str,
) -> Result<Instant> {
    let wait = async {
        while let Some((at, seen_name, seen_value)) = seen.recv().await {
            if seen_name == name && seen_value == value {
                return Ok(at);
            }
        }
        bail!("the watch ended")
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .with_context(|| format!("{name} was not written with {value}"))?
}

struct Floor {
    clone: std::path::PathBuf,
    repository: std::path::PathBuf,
    api: Api<ConfigMap>,
}

impl Floor {
    async fn prepare(stage: &Stage, environment: &str, api: Api<ConfigMap>) -> Result<Self> {
        let repository = stage
            .server
            .data()
            .join("repositories")
            .join(format!("{environment}.git"));
        let clone = stage.folder.path().join("floor.git");
        git(
            &[
                "clone",
                "--quiet",
                "--mirror",
                &repository.to_string_lossy(),
                &clone.to_string_lossy(),
            ],
            Path::new("/"),
        )
        .await?;
        Ok(Self {
            clone,
            repository,
            api,
        })
    }

    /// What a loop by hand would do, once.
    async fn once(&self, round: usize) -> Result<Duration> {
        let started = Instant::now();
        git(
            &[
                "fetch",
                "--quiet",
                "--no-tags",
                &self.repository.to_string_lossy(),
                "+refs/heads/main:refs/heads/main",
            ],
            &self.clone,
        )
        .await?;
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "floor"}, "data": {"value": round.to_string()},
        });
        self.api
            .patch(
                "floor",
                &PatchParams::apply("floor").force(),
                &Patch::Apply(&object),
            )
            .await?;
        Ok(started.elapsed())
    }
}

async fn git(arguments: &[&str], folder: &Path) -> Result<()> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .output()
        .await?;
    if !output.status.success() {
        bail!(
            "git {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
