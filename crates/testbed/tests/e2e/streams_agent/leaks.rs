//! Hundreds of streams leave nothing behind.

use std::time::Duration;

use anyhow::{Result, ensure};
use c7n_agent::streams::ExecIs;
use c7n_link::messages::{LogTarget, ReadLogs, RunProcess, Wish};
use c7n_stream::{End, EndCode, Frame};
use c7n_testbed::stack::eventually;
use futures_util::future::try_join_all;

use super::{Ground, PATIENCE};

const ROUNDS: usize = 20;
const AT_ONCE: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn streams_nothing_is_left_of_hundreds_of_them() -> Result<()> {
    let Some(ground) = Ground::start("leaks", ExecIs::On).await? else {
        return Ok(());
    };
    ground
        .pod("web", "", &[("app", "echo here; while :; do sleep 1; done")])
        .await?;
    for round in 0..ROUNDS {
        let one = |number: usize| {
            let ground = &ground;
            async move {
                let logs = ReadLogs {
                    target: Some(LogTarget::Pod("web".into())),
                    follow: true,
                    ..ReadLogs::default()
                };
                let exec = RunProcess {
                    pod: "web".into(),
                    command: vec!["cat".into()],
                    stdin: true,
                    ..RunProcess::default()
                };
                let logs_wanted = !number.is_multiple_of(4);
                let wish = if logs_wanted {
                    Wish::Logs(logs)
                } else {
                    Wish::Exec(exec)
                };
                let mut line = ground.open(wish).await?;
                if logs_wanted {
                    while !matches!(line.next().await?, Some(Frame::LogBytes(_)) | None) {}
                }
                if number.is_multiple_of(2) {
                    // Others just vanish.
                    line.send(Frame::End(End::new(EndCode::Left, ""))).await?;
                } else if !logs_wanted {
                    line.cut();
                }
                Ok::<_, anyhow::Error>(())
            }
        };
        try_join_all((0..AT_ONCE).map(one)).await?;
        ensure!(ground.streams.running() <= ROUNDS * AT_ONCE, "round {round}");
    }
    eventually("all streams have ended", Duration::from_secs(90), || async {
        let (running, tasks) = (ground.streams.running(), ground.tracker.len());
        ensure!(running == 0 && tasks == 0, "{running} streams, {tasks} tasks");
        ensure!(
            ground.seam.open() == 0,
            "{} sockets of the platform",
            ground.seam.open()
        );
        // Those that wait in the client for the next call.
        let connections = ground.api.connections();
        ensure!(
            connections <= AT_ONCE + 5,
            "{connections} connections to the API server"
        );
        Ok(())
    })
    .await?;
    // They end when their input does, which the container's runtime tells them in its own time.
    eventually("no process is left", PATIENCE, || async {
        let cats = ground
            .kubectl
            .run(&["-n", &ground.namespace, "exec", "web", "--", "ps"])
            .await?;
        ensure!(
            !cats.lines().any(|line| line.ends_with(" cat")),
            "processes are left:\n{cats}"
        );
        Ok(())
    })
    .await?;
    ground.end().await
}
