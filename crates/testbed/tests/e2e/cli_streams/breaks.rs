//! Connections that break in the middle: logs without gap and without doubled line, a shell that goes on.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use c7n_testbed::stack::{Cli, ServerOptions, eventually, free_address};
use c7n_testbed::terminal::Terminal;
use serde_json::Value;

use super::Scene;
use super::api::Api;
use super::cutter::Cutter;
use super::logs::{COUNTS, Followed, follows};
use crate::stand::{PATIENCE, Stand, TestCluster};

/// One way that can be cut between person and platform, and one between agent and platform.
struct Cut {
    scene: Scene,
    person: Cutter,
    agent: Cutter,
    cli: Cli,
}

impl Cut {
    async fn open(name: &str) -> Result<Option<Self>> {
        let listen = free_address()?;
        let options = ServerOptions {
            listen,
            ..ServerOptions::new()?
        };
        let mut stand = Stand::with_options(name, options).await?;
        let (person, agent) = (Cutter::start(listen).await?, Cutter::start(listen).await?);
        let connect = format!("ws://{}/agent/", agent.address);
        stand
            .join_as("east", &TestCluster::A.kubeconfig()?, &[], Some(&connect), &[])
            .await?;
        let cli = through(&stand, person.address);
        let scene = Scene::with(stand).await?;
        Ok(scene.map(|scene| Self {
            scene,
            person,
            agent,
            cli,
        }))
    }
}

fn through(stand: &Stand, address: SocketAddr) -> Cli {
    let server = &stand.server;
    Cli::new(
        server.binaries(),
        &format!("http://{address}"),
        &server.first_run().token,
        stand.folder(),
    )
}

#[tokio::test]
async fn a_log_goes_on_without_gap_and_without_doubled_line() -> Result<()> {
    let Some(cut) = Cut::open("breaks").await? else {
        return Ok(());
    };
    cut.scene.pod("counts", "", COUNTS).await?;
    cut.scene.runs("counts").await?;
    let arguments = cut.scene.arguments("logs", &["-f", "counts"]);
    let mut followed = Followed::start(cut.cli.command(&arguments))?;
    let mut last = 0;
    let mut cuts = 0;
    while last < 6000 {
        follows(&followed.line().await?, &mut last).map_err(|error| cut.scene.stand.explain(error))?;
        if last % 1000 == 500 {
            cuts += 1;
            match cuts % 2 {
                0 => cut.agent.cut(),
                _ => cut.person.cut(),
            }
        }
    }
    ensure!(cuts == 6);
    followed.stop().await
}

/// Counts on where the run before it stopped, and ends when it is told to, between two lines.
const COUNTS_OVER_RESTARTS: &str = "trap 'stop=1' TERM; i=$(cat /data/i 2>/dev/null || echo 0); \
    while [ -z \"$stop\" ]; do i=$((i+1)); echo \"count $i\"; [ $((i % 25)) = 0 ] && sleep 0.05; done; echo $i > /data/i; exit 1";

impl Cut {
    async fn pod_that_counts_over_restarts(&self, name: &str) -> Result<()> {
        let pod = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name, "namespace": self.scene.environment.namespace },
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "volumes": [{ "name": "data", "emptyDir": {} }],
                "containers": [{
                    "name": "app",
                    "image": "c7n.local/sample:1",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", COUNTS_OVER_RESTARTS],
                    "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
                }],
            },
        });
        self.scene.environment.kubectl.apply(&pod.to_string()).await?;
        self.scene.runs(name).await
    }

    /// Ends the container's run; the first number of the next one, which goes on behind it.
    async fn restart(&self, name: &str) -> Result<u64> {
        let kubectl = &self.scene.environment.kubectl;
        let namespace = self.scene.environment.namespace.as_str();
        let restarts = async || -> Result<(u64, bool)> {
            let pod = kubectl.json(&["-n", namespace, "get", "pod", name]).await?;
            let status = &pod["status"]["containerStatuses"][0];
            let number = status["restartCount"].as_u64().context("it has a number")?;
            Ok((number, status["state"]["running"].is_object()))
        };
        let (before, _) = restarts().await?;
        kubectl
            .run(&["-n", namespace, "exec", name, "--", "sh", "-c", "kill 1"])
            .await?;
        eventually(
            "the container is another one and counts",
            2 * PATIENCE,
            || async {
                let (number, running) = restarts().await?;
                ensure!(
                    running && number == before + 1,
                    "{number} after {before}, {running}"
                );
                let log = kubectl.run(&["-n", namespace, "logs", name]).await?;
                let first = log.lines().next().and_then(|line| line.strip_prefix("count "));
                ensure!(log.lines().count() > 200, "it has said too little");
                Ok(first.context("it counts")?.parse()?)
            },
        )
        .await
    }
}

#[tokio::test]
async fn a_log_goes_on_over_a_break_in_which_its_container_restarts() -> Result<()> {
    let Some(cut) = Cut::open("restarted").await? else {
        return Ok(());
    };
    cut.pod_that_counts_over_restarts("counts").await?;
    let arguments = cut.scene.arguments("logs", &["-f", "counts"]);
    let mut followed = Followed::start(cut.cli.command(&arguments))?;
    let (mut last, mut enough) = (0, 500);
    // The person is away from before the container's end until the next run has said much; then the agent is.
    for way in [&cut.person, &cut.agent] {
        while last < enough {
            follows(&followed.line().await?, &mut last).map_err(|error| cut.scene.stand.explain(error))?;
        }
        way.shut();
        let first = cut.restart("counts").await?;
        way.open();
        ensure!(
            first > last,
            "the run began with {first}, and {last} was read before"
        );
        // What was said before it, the whole of it, and a part of the run itself.
        enough = first + 300;
    }
    while last < enough {
        follows(&followed.line().await?, &mut last).map_err(|error| cut.scene.stand.explain(error))?;
    }
    followed.stop().await
}

#[tokio::test]
async fn a_shell_goes_on_after_a_break_of_either_way() -> Result<()> {
    let Some(cut) = Cut::open("reattach").await? else {
        return Ok(());
    };
    cut.scene.idle_pod("web-a", "web").await?;
    let command = cut.cli.command(&cut.scene.arguments("exec", &["-it", "web-a"]));
    let mut terminal = Terminal::start(&command, 80, 24)?;
    terminal.answers("shell=$$; echo rea''dy\r", "ready").await?;
    // It is the same shell afterwards: it knows what it was told.
    for (number, way) in [&cut.person, &cut.agent, &cut.person, &cut.agent]
        .into_iter()
        .enumerate()
    {
        way.cut();
        terminal.type_in(&format!("[ $shell = $$ ] && echo still''-{number}\r"))?;
        let shown = terminal.shows(&format!("still-{number}")).await;
        shown.map_err(|error| cut.scene.stand.explain(error))?;
    }
    // Everything at once, in the middle of much output.
    terminal.type_in("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo number $i; done; echo al''l-said\r")?;
    terminal.shows("number 300\r").await?;
    cut.person.cut();
    cut.agent.cut();
    terminal
        .shows("all-said")
        .await
        .map_err(|error| cut.scene.stand.explain(error))?;
    let shown = terminal.shown();
    let numbers: Vec<u64> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("number ")?.trim().parse().ok())
        .collect();
    ensure!(
        numbers.iter().copied().eq(1..=3000),
        "{} numbers, the first wrong one after {:?}",
        numbers.len(),
        numbers
            .iter()
            .zip(1..)
            .take_while(|(seen, wanted)| **seen == *wanted)
            .last()
    );
    terminal.type_in("exit 9\r")?;
    let status = terminal.ends().await?;
    ensure!(status.code() == Some(9), "{status}: {}", terminal.shown());
    terminal.check_restored().context("after breaks")
}

/// With the times of the product: a seat is kept for a minute.
#[tokio::test]
async fn a_shell_outlives_most_of_a_minute_and_no_more() -> Result<()> {
    let Some(cut) = Cut::open("minute").await? else {
        return Ok(());
    };
    let scene = &cut.scene;
    scene.idle_pod("web-a", "web").await?;
    let command = cut.cli.command(&scene.arguments("exec", &["-it", "web-a"]));
    let mut terminal = Terminal::start(&command, 80, 24)?;
    terminal.answers("shell=$$; echo rea''dy\r", "ready").await?;

    cut.person.shut();
    terminal
        .shows("c7n: the connection is lost; trying again for 60 s")
        .await?;
    tokio::time::sleep(Duration::from_secs(40)).await;
    cut.person.open();
    terminal.shows("c7n: it goes on").await?;
    terminal.type_in("[ $shell = $$ ] && echo sa''me-shell\r")?;
    terminal.shows("same-shell").await?;

    cut.person.shut();
    // Longer than a terminal is waited for once.
    let status = match terminal.ends().await {
        Ok(status) => status,
        Err(_) => terminal.ends().await?,
    };
    ensure!(status.code() == Some(1), "{status}: {}", terminal.shown());
    terminal
        .shows("c7n: it is over: the connection was lost and could not be made again within 60 s")
        .await?;
    terminal.check_restored()?;
    // The platform gave it up at about the same time, and wrote it down.
    let path = format!("projects/{}/environments/staging/streams", scene.stand.project);
    let api = Api::of(scene)?;
    eventually("its record has an end", PATIENCE, || async {
        let page = api.call("GET", &path, Value::Null).await?;
        let end = page["items"][0]["end"].as_str();
        ensure!(end.is_some_and(|end| end.contains("did not come back")), "{page}");
        Ok(())
    })
    .await
}
