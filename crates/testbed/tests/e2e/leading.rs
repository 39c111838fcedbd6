//! Two copies of the agent, one Lease: one works, the other takes over, and who lost it writes nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use c7n_api::{Activation, ClusterState};
use c7n_testbed::stack::{Kubectl, eventually};
use serde_json::Value;

use crate::stand::{PATIENCE, Stand, TestCluster, config_map};

const COPIES: [&str; 2] = ["one", "two"];

/// A stand whose cluster `east` is joined by two copies.
struct Pair {
    stand: Stand,
    kubectl: Kubectl,
    lease: String,
    secret: String,
    token: String,
}

impl Pair {
    async fn start(name: &str) -> Result<Self> {
        let mut stand = Stand::empty(name).await?;
        let kubectl = TestCluster::A.kubectl()?;
        let (lease, secret) = (
            format!("lease-{}", stand.project),
            format!("credential-{}", stand.project),
        );
        stand
            .cli
            .run(&["cluster", "create", "-p", &stand.project, "east"])
            .await?;
        let activation: Activation = stand
            .cli
            .json(&["cluster", "activation", "-p", &stand.project, "east"])
            .await?;
        for copy in COPIES {
            let socket = stand.folder().join(format!("{copy}.sock"));
            let arguments = [
                format!("--lease=default/{lease}"),
                format!("--credential-secret=default/{secret}"),
                format!("--pod-name={copy}"),
                format!("--health-listen=unix:{}", socket.display()),
            ];
            stand.agent(copy, TestCluster::A, &activation, &arguments)?;
        }
        stand.cluster_becomes("east", ClusterState::Running).await?;
        Ok(Self {
            stand,
            kubectl,
            lease,
            secret,
            token: activation.token,
        })
    }

    /// The copy that holds the Lease, as an index.
    async fn leader(&self) -> Result<usize> {
        let lease = self
            .kubectl
            .find(&["-n", "default", "lease", &self.lease])
            .await?
            .context("there is no Lease")?;
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        COPIES
            .iter()
            .position(|copy| holder.starts_with(&format!("{copy}_")))
            .with_context(|| format!("{holder:?} holds it"))
    }

    async fn becomes_leader(&self, wanted: usize) -> Result<()> {
        eventually(&format!("{} leads", COPIES[wanted]), PATIENCE, || async {
            let leader = self.leader().await?;
            ensure!(leader == wanted, "{} does", COPIES[leader]);
            Ok(())
        })
        .await
        .map_err(|error| self.stand.explain(error))
    }

    async fn credential(&self) -> Result<Value> {
        let secret = self
            .kubectl
            .find(&["-n", "default", "secret", &self.secret])
            .await?;
        Ok(secret.context("there is no Secret")?["data"]["credential"].clone())
    }

    async fn readiness(&self, copy: usize) -> Result<String> {
        let socket = self.stand.folder().join(format!("{}.sock", COPIES[copy]));
        self.stand.probe(&socket, "readyz").await
    }

    async fn clear(self) -> Result<()> {
        for (kind, name) in [("lease", &self.lease), ("secret", &self.secret)] {
            self.kubectl.run(&["-n", "default", "delete", kind, name]).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_leader_that_hangs_is_replaced_and_writes_nothing_when_it_goes_on() -> Result<()> {
    let mut pair = Pair::start("lease").await?;
    let environment = pair.stand.environment("staging").await?;
    environment.copy.write("a.yaml", &config_map("a", "k", "1"))?;
    let first = environment.copy.publish("First").await?;
    pair.stand.converges("staging", &first).await?;
    let before = environment.get("configmap", "a").await?["metadata"].clone();
    let leader = pair.leader().await?;
    let other = 1 - leader;
    eventually("the other one is ready to take over", PATIENCE, || async {
        let words = pair.readiness(other).await?;
        ensure!(
            words.contains(&format!("stands by for {}_", COPIES[leader])),
            "{words}"
        );
        Ok(())
    })
    .await?;

    pair.stand.agents[leader].process()?.signal(STOP);
    let stopped = Instant::now();
    pair.becomes_leader(other).await?;
    let taken_over = stopped.elapsed();
    eprintln!(
        "a leader that hangs is replaced after {:.1} s",
        taken_over.as_secs_f32()
    );
    ensure!(taken_over < Duration::from_secs(16), "it took {taken_over:?}");

    // Nothing was written again for it, and a new commit arrives.
    environment.copy.write("b.yaml", &config_map("b", "k", "1"))?;
    let second = environment.copy.publish("Second").await?;
    pair.stand.converges("staging", &second).await?;
    ensure!(
        environment.get("configmap", "a").await?["metadata"] == before,
        "it was applied twice"
    );
    let after = environment.get("configmap", "b").await?["metadata"].clone();

    // The old one wakes up in the middle of what it did, and ends.
    pair.stand.agents[leader].process()?.signal(CONTINUE);
    let ended = {
        let agent = std::cell::RefCell::new(&mut pair.stand.agents[leader]);
        eventually("the old leader ends", PATIENCE, || async {
            ensure!(agent.borrow_mut().process()?.check().is_err(), "it runs");
            Ok(())
        })
        .await
    };
    ended.map_err(|error| pair.stand.explain(error))?;
    let log = std::fs::read_to_string(pair.stand.agents[leader].log())?;
    ensure!(log.contains("lost the Lease"), "{log}");
    ensure!(pair.leader().await? == other);
    ensure!(environment.get("configmap", "a").await?["metadata"] == before);
    ensure!(environment.get("configmap", "b").await?["metadata"] == after);

    // It starts again, as the kubelet would see to, and stands by.
    pair.stand.agents[leader].restart()?;
    eventually("the old leader stands by", PATIENCE, || async {
        let words = pair.readiness(leader).await?;
        ensure!(
            words.contains(&format!("stands by for {}_", COPIES[other])),
            "{words}"
        );
        Ok(())
    })
    .await
    .map_err(|error| pair.stand.explain(error))?;
    pair.clear().await
}

#[tokio::test]
async fn a_leader_that_is_stopped_gives_the_lease_back_at_once() -> Result<()> {
    let mut pair = Pair::start("handover").await?;
    let leader = pair.leader().await?;
    let other = 1 - leader;
    eventually("the credential is shared", PATIENCE, || async {
        ensure!(pair.credential().await?.is_string());
        Ok(())
    })
    .await?;

    let begun = Instant::now();
    pair.stand.agents[leader].stop().await?;
    pair.becomes_leader(other).await?;
    let taken_over = begun.elapsed();
    eprintln!(
        "a leader that is stopped is replaced after {:.1} s",
        taken_over.as_secs_f32()
    );
    ensure!(taken_over < Duration::from_secs(8), "it took {taken_over:?}");
    pair.stand.cluster_becomes("east", ClusterState::Running).await?;
    let words = eventually("the new leader is taken in", PATIENCE, || pair.readiness(other)).await?;
    ensure!(words.contains("taken this agent in"), "{words}");

    // The session of the second opened with the credential: the token is used up, and says so.
    let text = pair.stand.refused_with(&pair.token, "late").await?;
    ensure!(
        text.contains("used already") && text.contains("c7n cluster activation"),
        "{text}"
    );
    pair.clear().await
}

/// Signals of Linux, the same numbers on every architecture that we build for.
const STOP: i32 = 19;
const CONTINUE: i32 = 18;
