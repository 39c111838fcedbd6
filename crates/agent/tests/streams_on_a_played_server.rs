//! Processes behind API servers that a machine of today does not have: one from before Kubernetes 1.30, and some that
//! refuse; and a kubelet that has just started.

mod played;

use anyhow::{Context, Result, ensure};
use c7n_stream::{End, EndCode, Frame, Part, Size};
use c7n_testbed::ends::api_server::{Connection, Exec, LOG, V4, failure};
use c7n_testbed::ends::seam::{PATIENCE, Person};
use c7n_testbed::stack::eventually;

use played::{Ground, follow, run};

/// The connections on which a process was asked for, once there are so many and all are closed.
async fn closed(ground: &Ground, wanted: usize) -> Result<Vec<Connection>> {
    eventually("the connections of processes are closed", PATIENCE, || async {
        let mut all = ground.server.connections();
        all.retain(Connection::is_of_exec);
        ensure!(
            all.len() == wanted && all.iter().all(|it| it.closed),
            "{wanted} are wanted, of these there are: {all:?}"
        );
        Ok(all)
    })
    .await
    .and_then(|all| {
        for connection in &all {
            let last = connection.requests.last().context("it has a request")?;
            ensure!(
                last.contains("/exec?"),
                "asked after a process: {:?}",
                connection.requests
            );
        }
        Ok(all)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_an_api_server_before_1_30_runs_and_tells_how_it_ended() -> Result<()> {
    let ground = Ground::start(Exec::Speaks(V4)).await?;
    let mut person = Person::at(ground.open(run("talk")).await?);
    ensure!(person.exit_code().await? == 7);
    ensure!(person.output == b"out\n", "{:?}", person.output);
    ensure!(person.error_output == b"err\n", "{:?}", person.error_output);

    let mut person = Person::at(ground.open(run("cat")).await?);
    person.types(b"hello\n");
    person.talk(|person| person.output == b"hello\n").await?;
    person.types(b"quit\n");
    ensure!(person.exit_code().await? == 0);

    for connection in closed(&ground, 2).await? {
        ensure!(connection.offered.contains(V4), "{}", connection.offered);
    }
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_api_server_does_not_hear_the_end_of_the_input_and_hears_its_person_leave() -> Result<()> {
    let ground = Ground::start(Exec::Speaks(V4)).await?;
    let mut person = Person::at(ground.open(run("cat")).await?);
    person.types(b"hello\n");
    person.input.push_back(Part::InputEnd);
    // What is said after it arrives: so it was not only late.
    person.input.push_back(Part::Resize(Size {
        columns: 80,
        rows: 24,
    }));
    person.talk(|person| person.output == b"hello\n").await?;
    let resized = br#"{"Width":80,"Height":24}"#;
    eventually("the process is told of the size", PATIENCE, || async {
        let all = ground.server.connections();
        let exec = all.iter().find(|it| it.is_of_exec()).context("it is there")?;
        let wanted = [b"\x00hello\n".to_vec(), [b"\x04".as_slice(), resized].concat()];
        ensure!(!exec.closed && exec.said == wanted, "{exec:?}");
        Ok(())
    })
    .await?;
    ensure!(ground.streams.running() == 1 && person.last.is_none());

    person.line.send(Frame::End(End::new(EndCode::Left, ""))).await?;
    let said = closed(&ground, 1).await?.remove(0).said;
    ensure!(said.len() == 2, "{said:?}");
    eventually("the stream is over", PATIENCE, || async {
        ensure!(ground.streams.running() == 0);
        Ok(())
    })
    .await?;
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_does_not_switch_says_why_and_its_connection_is_not_used_again() -> Result<()> {
    let ground = Ground::start(Exec::Speaks(V4)).await?;
    let said = |status: &'static str, code, reason: &str, words: &str| Exec::Answers {
        status,
        body: failure(code, reason, words),
    };
    let refusals = [
        (
            said(
                "403 Forbidden",
                403,
                "Forbidden",
                "pods \"web\" is forbidden: not today",
            ),
            EndCode::Forbidden,
            "pods \"web\" is forbidden: not today",
        ),
        (
            said("404 Not Found", 404, "NotFound", "pods \"web\" not found"),
            EndCode::NotFound,
            "pods \"web\" not found",
        ),
        (
            said(
                "500 Internal Server Error",
                500,
                "InternalError",
                "error dialing backend: no route",
            ),
            EndCode::Failed,
            "error dialing backend: no route",
        ),
        // The call must not be made again: who knows how far the process came.
        (
            said("504 Gateway Timeout", 504, "Timeout", "the node is late"),
            EndCode::Failed,
            "the node is late",
        ),
        (
            Exec::Answers {
                status: "403 Forbidden",
                body: String::new(),
            },
            EndCode::Forbidden,
            "does not allow the agent a process in the container app",
        ),
        (
            Exec::Answers {
                status: "200 OK",
                body: "{}".into(),
            },
            EndCode::Failed,
            "it does not take a WebSocket here",
        ),
        (
            Exec::Switches("v9.channel.k8s.io"),
            EndCode::Failed,
            "Sec-WebSocket-Protocol",
        ),
    ];
    let number = refusals.len();
    for (answer, code, words) in refusals {
        ground.server.answers(answer.clone());
        let end = ground.open(run("cat")).await?.end().await?;
        ensure!(
            end.code() == code && end.message.contains(words),
            "{answer:?}: {end:?}"
        );
    }
    for connection in closed(&ground, number).await? {
        ensure!(connection.said.is_empty(), "{:?}", connection.said);
    }
    // The next one finds its way.
    ground.server.answers(Exec::Speaks(V4));
    let mut person = Person::at(ground.open(run("talk")).await?);
    ensure!(person.exit_code().await? == 7);
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_waited_for_while_the_kubelet_does_not_know_its_pods_yet() -> Result<()> {
    let ground = Ground::start(Exec::Speaks(V4)).await?;
    ground.server.forgets_its_pod(3);
    let mut line = ground.open(follow()).await?;
    loop {
        match line.next().await?.context("it goes on")? {
            Frame::LogBytes(frame) => {
                ensure!(frame.bytes == LOG, "{frame:?}");
                break;
            }
            Frame::LogSource(source) => ensure!(source.message.is_empty(), "{source:?}"),
            other => anyhow::bail!("{other:?}"),
        }
    }
    drop(line);
    ground.end().await
}
