//! `c7n exec` without a terminal: as a program in a pipeline.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Scene, complaint};
use crate::stand::PATIENCE;

#[tokio::test]
async fn a_program_in_a_pod_can_stand_in_a_pipeline() -> Result<()> {
    let Some(scene) = Scene::open("process").await? else {
        return Ok(());
    };
    scene.idle_pod("web-a", "web").await?;
    scene.idle_pod("plain", "").await?;

    // Output and complaints apart, and the exit code.
    let output = scene
        .output(
            "exec",
            &["web-a", "--", "sh", "-c", "echo out; echo err >&2; exit 3"],
        )
        .await?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    ensure!(
        output.stdout == b"out\n" && output.stderr == b"err\n",
        "{output:?}"
    );
    for (command, code) in [("kill -9 $$", 137), ("exit 0", 0), ("exit 255", 255)] {
        let output = scene
            .output("exec", &["web-a", "--", "sh", "-c", command])
            .await?;
        ensure!(output.status.code() == Some(code), "{command}: {output:?}");
    }
    let output = scene.output("exec", &["web-a", "--", "no-such-program"]).await?;
    ensure!(output.status.code() == Some(127), "{output:?}");
    ensure!(
        complaint(&output).contains("no-such-program is not there"),
        "{output:?}"
    );

    // A shell without a terminal takes a script.
    let said = piped(&scene, &["-i", "web-a"], b"echo from $((40 + 2))\n").await?;
    ensure!(said == b"from 42\n", "{:?}", String::from_utf8_lossy(&said));

    // Input has an end, and nothing of it is lost: more than all windows and buffers on the way take.
    let noise: Vec<u8> = (0..5_000_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let back = piped(&scene, &["-i", "web-a", "--", "cat"], &noise).await?;
    ensure!(back == noise, "{} of {} bytes come back", back.len(), noise.len());

    // Nobody reads on: it ends, and says nothing.
    let mut command = scene
        .stand
        .cli
        .command(&scene.arguments("exec", &["web-a", "--", "cat", "/dev/zero"]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().context("it is piped")?;
    stdout.read_exact(&mut [0; 1000]).await?;
    drop(stdout);
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await??;
    ensure!(
        ended.status.code() == Some(141) && ended.stderr.is_empty(),
        "{ended:?}"
    );

    // An instance stands for its first pod that is ready, and that is said.
    scene.instance("web", 1).await?;
    let output = scene.output("exec", &["web", "--", "hostname"]).await?;
    ensure!(
        output.stdout == b"web-a\n" && complaint(&output).contains("pod web-a"),
        "{output:?}"
    );
    scene.idle_pod("web", "").await?;
    let both = scene.output("exec", &["web", "--", "hostname"]).await?;
    ensure!(
        complaint(&both).contains("`instance/web` or `pod/web`"),
        "{both:?}"
    );
    ensure!(scene.run("exec", &["pod/web", "--", "hostname"]).await? == "web\n");
    ensure!(scene.run("exec", &["instance/web", "--", "hostname"]).await? == "web-a\n");

    // What is not there is told with what to do.
    let missing = scene.output("exec", &["nobody", "--", "true"]).await?;
    ensure!(
        missing.status.code() == Some(1) && complaint(&missing).contains("nobody"),
        "{missing:?}"
    );
    Ok(())
}

/// What a program says to this input, when it ends well.
pub async fn piped(scene: &Scene, rest: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let mut command = scene.stand.cli.command(&scene.arguments("exec", rest));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("it is piped")?;
    let feed = async {
        stdin.write_all(input).await?;
        drop(stdin);
        anyhow::Ok(())
    };
    let both = async { tokio::try_join!(feed, async { Ok(child.wait_with_output().await?) }) };
    let ((), output) = tokio::time::timeout(2 * PATIENCE, both)
        .await
        .context("it does not end")??;
    ensure!(
        output.status.success(),
        "{rest:?}: {}: {}",
        output.status,
        complaint(&output)
    );
    Ok(output.stdout)
}
