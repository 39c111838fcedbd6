//! One pasted command joins a cluster: helm, our chart, our image, a real node.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use c7n_api::{Activation, Cluster, ClusterState};
use c7n_testbed::programs::{self, Program};
use c7n_testbed::stack::{Kubectl, eventually};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::stand::{PATIENCE, Stand, TestCluster, config_map};

mod walled;

/// Pods start on a machine that compiles and tests at the same time.
const PODS: Duration = Duration::from_secs(120);

/// The image that `cargo xtask test` has handed to the node; none where there is no real node.
fn image() -> Option<(String, String)> {
    let image = std::env::var("C7N_TEST_AGENT_IMAGE").ok()?;
    let (repository, tag) = image.rsplit_once(':')?;
    Some((repository.to_owned(), tag.to_owned()))
}

/// A stand whose cluster is joined by a pasted command.
struct Joined {
    stand: Stand,
    kubectl: Kubectl,
    namespace: String,
    helm: PathBuf,
    token: String,
    /// Further variables of the shell.
    shell: Vec<(&'static str, String)>,
}

impl Joined {
    async fn start(name: &str, repository: &str, tag: &str) -> Result<Self> {
        let (joined, command) = Self::told_how(Stand::empty(name).await?).await?;
        joined
            .install(&command, joined.values_of_this_node(repository, tag).await?)
            .await?;
        Ok(joined)
    }

    /// Up to the command that a person copies, in a namespace of this test.
    async fn told_how(stand: Stand) -> Result<(Self, String)> {
        let kubectl = TestCluster::A.kubectl()?;
        let helm = programs::ensure(Program::Helm).await?;
        stand
            .cli
            .run(&["cluster", "create", "-p", &stand.project, "east"])
            .await?;
        let activation: Activation = stand
            .cli
            .json(&["cluster", "activation", "-p", &stand.project, "east"])
            .await?;
        // Tests share the cluster: each has a namespace of its own, and names of what belongs to the cluster follow it.
        let namespace = format!("join-{}", stand.project);
        let command = activation
            .command
            .replace("--namespace choerodon ", &format!("--namespace {namespace} "));
        ensure!(command != activation.command, "{}", activation.command);
        let joined = Self {
            stand,
            kubectl,
            namespace,
            helm,
            token: activation.token,
            shell: Vec::new(),
        };
        Ok((joined, command))
    }

    async fn install(&self, command: &str, values: Value) -> Result<()> {
        let file = self.stand.folder().join("values.yaml");
        std::fs::write(&file, values.to_string())?;
        self.paste(&format!("{command} --values {}", file.display()))
            .await
            .map(drop)
    }

    /// What the node of a local cluster needs besides: no service address routes, and images come from this machine.
    async fn values_of_this_node(&self, repository: &str, tag: &str) -> Result<Value> {
        let server = self
            .kubectl
            .run(&[
                "config",
                "view",
                "--minify",
                "--output=jsonpath={.clusters[0].cluster.server}",
            ])
            .await?;
        let (host, port) = server
            .trim_start_matches("https://")
            .rsplit_once(':')
            .context("a URL with a port")?;
        Ok(json!({
            "image": { "repository": repository, "tag": tag },
            "hostNetwork": true,
            "kubernetesService": { "host": host, "port": port.trim_end_matches('/') },
        }))
    }

    /// As a person would, in a shell that has helm and access to the cluster.
    async fn paste(&self, line: &str) -> Result<String> {
        let folder = self.helm.parent().unwrap_or(Path::new("/"));
        let path = std::env::var("PATH").unwrap_or_default();
        let home = self.stand.folder().join("home");
        std::fs::create_dir_all(&home)?;
        let output = Command::new("sh")
            .args(["-c", line])
            .env("PATH", format!("{}:{path}", folder.display()))
            .env("KUBECONFIG", TestCluster::A.kubeconfig()?)
            .env("HOME", home)
            .envs(self.shell.iter().map(|(name, value)| (name, value)))
            .kill_on_drop(true)
            .output()
            .await?;
        if !output.status.success() {
            bail!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn pods(&self) -> Result<Vec<Value>> {
        let list = self.kubectl.json(&["-n", &self.namespace, "get", "pods"]).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    async fn ready_pods(&self, wanted: usize) -> Result<Vec<Value>> {
        let ready = |pod: &Value| {
            pod["metadata"]["deletionTimestamp"].is_null()
                && pod["status"]["conditions"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|it| it["type"] == "Ready" && it["status"] == "True")
        };
        let found = eventually(&format!("{wanted} pods are ready"), PODS, || async {
            let pods = self.pods().await?;
            let ready: Vec<Value> = pods.iter().filter(|pod| ready(pod)).cloned().collect();
            ensure!(ready.len() == wanted, "{} of {} are", ready.len(), pods.len());
            Ok(ready)
        })
        .await;
        match found {
            Ok(found) => Ok(found),
            Err(error) => Err(self.explain(error).await),
        }
    }

    /// What the pods say, for the one who reads a failure.
    async fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let mut said = String::new();
        for what in [
            &["get", "pods", "--output=wide"][..],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &[
                "logs",
                "--selector=app.kubernetes.io/name=choerodon-cluster-agent",
                "--tail=30",
                "--prefix",
            ],
        ] {
            let text = self
                .kubectl
                .run(&[&["-n", self.namespace.as_str()][..], what].concat())
                .await
                .unwrap_or_else(|error| error.to_string());
            said.push_str(&format!("\n--- kubectl {}\n{text}", what.join(" ")));
        }
        self.stand.explain(error.context(said))
    }

    /// Name of the pod that leads.
    async fn leader(&self) -> Result<String> {
        let lease = self
            .kubectl
            .find(&["-n", &self.namespace, "lease", "choerodon-cluster-agent"])
            .await?
            .context("there is no Lease")?;
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        let (pod, _) = holder.rsplit_once('_').context("nobody holds it")?;
        Ok(pod.to_owned())
    }

    async fn another_leads(&self, before: &str) -> Result<String> {
        let led = eventually("another one leads", PATIENCE, || async {
            let leader = self.leader().await?;
            ensure!(leader != before, "{leader} still does");
            Ok(leader)
        })
        .await;
        match led {
            Ok(leader) => Ok(leader),
            Err(error) => Err(self.explain(error).await),
        }
    }

    /// `kill -9`, as far as one can by the API server.
    async fn kill(&self, pod: &str) -> Result<()> {
        let how = ["--grace-period=0", "--force", "--wait=false"];
        let what = ["-n", &self.namespace, "delete", "pod", pod];
        self.kubectl.run(&[&what[..], &how].concat()).await.map(drop)
    }

    /// The Secret that all copies share.
    async fn credential(&self) -> Result<String> {
        let name = "choerodon-cluster-agent-credential";
        let secret = self
            .kubectl
            .find(&["-n", &self.namespace, "secret", name])
            .await?
            .context("there is no Secret with the credential")?;
        let value = secret["data"]["credential"].as_str().context("it is empty")?;
        Ok(String::from_utf8(STANDARD.decode(value)?)?)
    }

    async fn running(&self) -> Result<Cluster> {
        if let Err(error) = self.stand.cluster_becomes("east", ClusterState::Running).await {
            return Err(self.explain(error).await);
        }
        self.stand.cluster("east").await
    }

    async fn leave(self) -> Result<()> {
        self.paste(&format!(
            "helm uninstall choerodon-cluster-agent --namespace {} --wait",
            self.namespace
        ))
        .await?;
        self.kubectl
            .run(&["delete", "namespace", &self.namespace, "--wait=false"])
            .await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_pasted_command_joins_a_cluster_and_a_pod_that_dies_is_replaced() -> Result<()> {
    let Some((repository, tag)) = image() else {
        eprintln!("NOT RUN: joining for real needs a real node (C7N_TEST_AGENT_IMAGE is not set)");
        return Ok(());
    };
    let begun = Instant::now();
    let joined = Joined::start("join", &repository, &tag).await?;

    // It turns running, with all that the cluster tells of itself.
    let cluster = joined.running().await?;
    eprintln!("joined {:.1} s after the paste", begun.elapsed().as_secs_f32());
    ensure!(
        cluster
            .kubernetes_version
            .as_deref()
            .is_some_and(|version| version.starts_with("v1.")),
        "{cluster:?}"
    );
    ensure!(cluster.agent_version.is_some(), "{cluster:?}");
    ensure!(
        cluster
            .nodes
            .iter()
            .any(|node| node.name == "node-1" && node.ready),
        "{cluster:?}"
    );
    joined.ready_pods(2).await?;

    // An environment converges through the agent in the pod.
    let environment = joined.stand.environment("staging").await?;
    environment.copy.write("a.yaml", &config_map("a", "k", "1"))?;
    environment.copy.write("b.yaml", &config_map("b", "k", "1"))?;
    let commit = environment.copy.publish("First").await?;
    if let Err(error) = joined.stand.converges("staging", &commit).await {
        return Err(joined.explain(error).await);
    }
    let state = async || -> Result<Vec<Value>> {
        Ok(vec![
            environment.get("configmap", "a").await?["metadata"].clone(),
            environment.get("configmap", "b").await?["metadata"].clone(),
        ])
    };
    let before = state().await?;

    // The one that leads is killed; the other goes on within seconds, and writes nothing again.
    let leader = joined.leader().await?;
    let killed = Instant::now();
    joined.kill(&leader).await?;
    let next = joined.another_leads(&leader).await?;
    let taken_over = killed.elapsed();
    eprintln!("a killed pod is replaced after {:.1} s", taken_over.as_secs_f32());
    ensure!(taken_over < Duration::from_secs(20), "it took {taken_over:?}");
    joined.running().await?;
    environment.copy.write("c.yaml", &config_map("c", "k", "1"))?;
    let commit = environment.copy.publish("Second").await?;
    if let Err(error) = joined.stand.converges("staging", &commit).await {
        return Err(joined.explain(error).await);
    }
    ensure!(state().await? == before, "what was applied was applied again");
    joined.ready_pods(2).await?;

    // One that is stopped gives the Lease back.
    let stopped = Instant::now();
    joined
        .kubectl
        .run(&["-n", &joined.namespace, "delete", "pod", &next, "--wait=false"])
        .await?;
    joined.another_leads(&next).await?;
    eprintln!(
        "a stopped pod is replaced after {:.1} s",
        stopped.elapsed().as_secs_f32()
    );
    joined.running().await?;
    ensure!(state().await? == before, "what was applied was applied again");

    // The token was swapped: a credential of its own is in the Secret, and the token opens nothing any more.
    joined.credential().await?;
    let said = joined.stand.refused_with(&joined.token, "late").await?;
    ensure!(
        said.contains("used already") && said.contains("c7n cluster activation"),
        "{said}"
    );
    joined.leave().await
}

#[tokio::test]
async fn a_token_that_was_used_says_so_in_the_pod_and_on_the_platform() -> Result<()> {
    let Some((repository, tag)) = image() else {
        eprintln!("NOT RUN: joining for real needs a real node (C7N_TEST_AGENT_IMAGE is not set)");
        return Ok(());
    };
    let joined = Joined::start("late", &repository, &tag).await?;
    joined.running().await?;
    joined.ready_pods(2).await?;
    // Somebody deletes the credential and pastes the old command again.
    joined
        .kubectl
        .run(&[
            "-n",
            &joined.namespace,
            "scale",
            "deployment",
            "choerodon-cluster-agent",
            "--replicas=0",
        ])
        .await?;
    eventually("all pods are gone", PODS, || async {
        let pods = joined.pods().await?;
        ensure!(pods.is_empty(), "{} are there", pods.len());
        Ok(())
    })
    .await?;
    joined
        .kubectl
        .run(&[
            "-n",
            &joined.namespace,
            "delete",
            "secret",
            "choerodon-cluster-agent-credential",
        ])
        .await?;
    joined
        .kubectl
        .run(&[
            "-n",
            &joined.namespace,
            "scale",
            "deployment",
            "choerodon-cluster-agent",
            "--replicas=1",
        ])
        .await?;

    let told = eventually("the platform tells of it", PODS, || async {
        let cluster = joined.stand.cluster("east").await?;
        cluster.message.context("no word yet")
    })
    .await;
    let told = match told {
        Ok(told) => told,
        Err(error) => return Err(joined.explain(error).await),
    };
    ensure!(
        told.contains("used already") && told.contains("c7n cluster activation"),
        "{told}"
    );
    // `kubectl describe pod` shows it: the words of a probe are in its event.
    eventually("the pod tells of it", PODS, || async {
        let events = joined
            .kubectl
            .run(&[
                "-n",
                &joined.namespace,
                "get",
                "events",
                "--field-selector=reason=Unhealthy",
                "--output=jsonpath={.items[*].message}",
            ])
            .await?;
        ensure!(events.contains("used already"), "{events}");
        Ok(())
    })
    .await?;
    joined.leave().await
}

#[tokio::test]
async fn the_agent_upgrades_itself_and_takes_the_old_version_back_if_the_new_does_not_report() -> Result<()> {
    let Some((repository, tag)) = image() else {
        eprintln!("NOT RUN: joining for real needs a real node (C7N_TEST_AGENT_IMAGE is not set)");
        return Ok(());
    };
    let joined = Joined::start("upgrade", &repository, &tag).await?;
    joined.running().await?;
    joined.ready_pods(2).await?;
    let project = joined.stand.project.clone();
    let upgrade = async |image: &str, timeout: &str| {
        let arguments = [
            "cluster",
            "upgrade-agent",
            "-p",
            &project,
            "east",
            "--image",
            image,
            "--timeout",
            timeout,
        ];
        joined.stand.cli.output(&arguments).await
    };
    let images = async || -> Result<Vec<String>> {
        let pods = joined.ready_pods(2).await?;
        let image = |pod: &Value| {
            pod["spec"]["containers"][0]["image"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        Ok(pods.iter().map(image).collect())
    };

    // The same image under a second tag: it runs, and the new leader says so.
    let next = format!("{repository}:{tag}-next");
    let begun = Instant::now();
    let done = upgrade(&next, "120").await?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(joined.explain(anyhow::anyhow!(said)).await);
    }
    eprintln!("upgraded in {:.1} s", begun.elapsed().as_secs_f32());
    ensure!(images().await? == [next.clone(), next.clone()]);

    // One that cannot start: the one before it is back, with the reason.
    let nothing = format!("{repository}:nobody-made-this");
    let begun = Instant::now();
    let failed = upgrade(&nothing, "15").await?;
    eprintln!("back after {:.1} s", begun.elapsed().as_secs_f32());
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    ensure!(failed.status.code() == Some(1), "{said}");
    ensure!(
        said.contains(&nothing) && said.contains(&next) && said.contains("Image"),
        "{said}"
    );
    ensure!(images().await? == [next.clone(), next.clone()]);
    joined.running().await?;
    joined.leave().await
}
