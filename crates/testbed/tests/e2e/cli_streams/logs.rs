//! `c7n logs`: one pod as it is, many pods line by line.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use c7n_testbed::stack::eventually;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::{Scene, complaint};
use crate::stand::PATIENCE;

/// A `c7n logs -f` whose lines are read as they come.
pub struct Followed {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Followed {
    pub fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let stdout = child.stdout.take().context("it is piped")?;
        Ok(Self {
            child,
            lines: BufReader::new(stdout).lines(),
        })
    }

    pub async fn line(&mut self) -> Result<String> {
        tokio::time::timeout(PATIENCE, self.lines.next_line())
            .await
            .context("no line comes")??
            .context("it ended")
    }

    pub async fn stop(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// Counts without an end, so fast that every break is in the middle of something.
pub const COUNTS: &str =
    "trap exit TERM; i=0; while :; do i=$((i+1)); echo \"count $i\"; [ $((i % 25)) = 0 ] && sleep 0.05; done";

/// The next number of a line, which must follow the one before.
pub fn follows(line: &str, last: &mut u64) -> Result<()> {
    let number: u64 = line
        .strip_prefix("count ")
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("no whole line: {line:?} after {last}"))?;
    ensure!(number == *last + 1, "{number} follows {last}");
    *last = number;
    Ok(())
}

#[tokio::test]
async fn one_pod_is_shown_as_it_is() -> Result<()> {
    let Some(scene) = Scene::open("log").await? else {
        return Ok(());
    };
    // Colours, bytes that are no text, and a line longer than any frame.
    let script = "printf '\\033[31mred\\033[0m\\n\\377\\376 noise\\r back\\n'; head -c 300000 /dev/zero | busybox tr '\\0' x; echo; \
                  for i in 1 2 3; do echo line $i; done; echo end; sleep 1000";
    scene.pod("speaks", "", script).await?;
    scene.runs("speaks").await?;
    let wanted = [
        b"\x1b[31mred\x1b[0m\n\xff\xfe noise\r back\n".as_slice(),
        &vec![b'x'; 300_000],
        b"\nline 1\nline 2\nline 3\nend\n",
    ]
    .concat();
    eventually("all of it is shown", PATIENCE, || async {
        let output = scene.output("logs", &["speaks"]).await?;
        ensure!(output.status.success(), "{}", complaint(&output));
        ensure!(
            output.stdout == wanted,
            "{} of {} bytes: {}",
            output.stdout.len(),
            wanted.len(),
            String::from_utf8_lossy(&output.stdout[..200.min(output.stdout.len())])
        );
        Ok(())
    })
    .await?;

    ensure!(scene.run("logs", &["speaks", "--tail", "2"]).await? == "line 3\nend\n");
    let stamped = scene
        .run("logs", &["speaks", "--tail", "3", "--timestamps"])
        .await?;
    let times: Vec<&str> = stamped
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(time, _)| time)
        .collect();
    ensure!(
        times.len() == 3 && times.iter().all(|time| time.len() >= 20 && time.ends_with('Z')),
        "{stamped}"
    );
    ensure!(
        scene
            .run(
                "logs",
                &["speaks", "--since", "2001-01-01T00:00:00Z", "--tail", "1"]
            )
            .await?
            == "end\n"
    );

    // A reader that has enough: no complaint, no failure.
    let mut command = scene
        .stand
        .cli
        .command(&scene.arguments("logs", &["-f", "speaks"]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().context("it is piped")?;
    tokio::io::AsyncReadExt::read_exact(&mut stdout, &mut [0; 10]).await?;
    drop(stdout);
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await??;
    ensure!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");

    // Mistakes.
    let usage = scene.output("logs", &[]).await?;
    ensure!(usage.status.code() == Some(2), "{usage:?}");
    let missing = scene.output("logs", &["nobody"]).await?;
    ensure!(
        missing.status.code() == Some(1) && complaint(&missing).contains("nobody"),
        "{missing:?}"
    );
    let previous = scene.output("logs", &["speaks", "--previous"]).await?;
    ensure!(
        !previous.status.success() && !previous.stderr.is_empty(),
        "{previous:?}"
    );
    Ok(())
}

#[tokio::test]
async fn pods_of_an_instance_are_followed_while_they_come_and_go() -> Result<()> {
    let Some(scene) = Scene::open("pods").await? else {
        return Ok(());
    };
    for pod in ["web-a", "web-b"] {
        scene.pod(pod, "web", COUNTS).await?;
        scene.runs(pod).await?;
    }
    scene.instance("web", 2).await?;
    let command = scene.stand.cli.command(&scene.arguments("logs", &["-f", "web"]));
    let mut crowd = Crowd {
        followed: Followed::start(command)?,
        last: BTreeMap::new(),
    };
    crowd.reaches("web-a", 500).await?;
    crowd.reaches("web-b", 500).await?;

    // One goes and another comes.
    let namespace = scene.environment.namespace.as_str();
    let delete = ["delete", "pod", "web-a", "-n", namespace, "--wait=false"];
    scene.environment.kubectl.run(&delete).await?;
    scene.pod("web-c", "web", COUNTS).await?;
    crowd.reaches("web-c", 500).await?;
    let of_b = crowd.last["web-b"];
    crowd.reaches("web-b", of_b + 500).await?;
    crowd.followed.stop().await
}

/// Counting pods, line by line behind their names.
struct Crowd {
    followed: Followed,
    last: BTreeMap<String, u64>,
}

impl Crowd {
    /// Reads on until a pod has counted so far. Nobody's line is missing, doubled or cut meanwhile.
    async fn reaches(&mut self, wanted: &str, count: u64) -> Result<()> {
        let until = tokio::time::Instant::now() + PATIENCE;
        while self.last.get(wanted).is_none_or(|last| *last < count) {
            ensure!(
                tokio::time::Instant::now() < until,
                "{wanted} does not come to {count}: {:?}",
                self.last
            );
            let line = self.followed.line().await?;
            let (pod, text) = line
                .split_once(" | ")
                .with_context(|| format!("no name: {line:?}"))?;
            follows(text, self.last.entry(pod.to_owned()).or_default()).context(pod.to_owned())?;
        }
        Ok(())
    }
}
