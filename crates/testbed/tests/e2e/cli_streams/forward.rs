//! `c7n port-forward`.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use c7n_testbed::stack::eventually;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Scene;
use crate::stand::PATIENCE;

#[tokio::test]
async fn many_connections_reach_a_port_of_a_pod_at_once() -> Result<()> {
    let Some(scene) = Scene::open("forward").await? else {
        return Ok(());
    };
    scene.pod("web-a", "web", "exec sample --log-every 0s").await?;
    scene.runs("web-a").await?;
    scene.instance("web", 1).await?;
    let arguments = scene.arguments("port-forward", &["web", ":8080", ":9"]);
    let mut command = scene.stand.cli.command(&arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut told = BufReader::new(child.stdout.take().context("it is piped")?).lines();
    let mut complaints = BufReader::new(child.stderr.take().context("it is piped")?).lines();
    let mut port = async |remote: &str| -> Result<u16> {
        // The same port of ::1 is told as well, where there is one.
        let line = loop {
            let line = tokio::time::timeout(PATIENCE, told.next_line())
                .await??
                .context("it ended")?;
            if !line.starts_with("Forwarding from [::1]:") {
                break line;
            }
        };
        let (local, to) = line
            .strip_prefix("Forwarding from 127.0.0.1:")
            .and_then(|rest| rest.split_once(" -> "))
            .with_context(|| line.clone())?;
        ensure!(to == remote, "{line}");
        Ok(local.parse()?)
    };
    let (web, closed) = (port("8080").await?, port("9").await?);

    // A pod runs before its program listens.
    eventually("the program listens", PATIENCE, || async {
        let answer = get(web).await?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        Ok(())
    })
    .await?;
    let mut requests = JoinSet::new();
    for _ in 0..10 {
        requests.spawn(get(web));
    }
    while let Some(answer) = requests.join_next().await {
        let answer = answer??;
        ensure!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("web-a"),
            "{answer}"
        );
    }

    // Where nobody listens the connection ends, that is told, and the next one works.
    let nothing = tokio::time::timeout(PATIENCE, get(closed)).await?;
    ensure!(nothing.as_deref().unwrap_or("").is_empty(), "{nothing:?}");
    let complaint = async {
        while let Some(line) = complaints.next_line().await? {
            if line.contains("port 9 of web-a") {
                return Ok(line);
            }
        }
        anyhow::bail!("it is not told")
    };
    tokio::time::timeout(PATIENCE, complaint).await??;
    ensure!(get(web).await?.starts_with("HTTP/1.1 200"));

    // Ctrl-C is its end.
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    kill_process(pid.context("it has ended")?, Signal::INT)?;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await??;
    ensure!(status.success(), "{status}");
    Ok(())
}

async fn get(port: u16) -> Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    connection
        .write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, connection.read_to_end(&mut answer)).await??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
