//! Thousands of streams leave nothing behind in the agent. A program of its own: it counts all that its process has.

mod played;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use c7n_stream::{End, EndCode, Frame};
use c7n_testbed::ends::api_server::{Exec, LOG, V4};
use c7n_testbed::ends::seam::Person;
use c7n_testbed::stack::eventually;
use futures_util::future::try_join_all;

use played::{Ground, follow, run};

const ROUNDS: usize = 60;
const AT_ONCE: usize = 40;
/// The API server's half of an idle connection is in this process, too.
const ENDS: usize = 2;

/// What this process has that could be left behind.
#[derive(Debug, Clone, Copy)]
struct Count {
    tasks: usize,
    descriptors: usize,
    /// To the API server, those included that wait for the next call.
    connections: usize,
}

impl Count {
    fn of(ground: &Ground) -> Result<Self> {
        Ok(Self {
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            descriptors: std::fs::read_dir("/proc/self/fd")?.count(),
            connections: ground.server.open(),
        })
    }
}

/// One stream, seen to work, that ends in one of the ways in which they end.
async fn one(ground: &Ground, number: usize) -> Result<()> {
    let how = number / 4 % 3;
    if number.is_multiple_of(4) {
        process(ground, how).await
    } else {
        log(ground, how).await
    }
}

async fn log(ground: &Ground, how: usize) -> Result<()> {
    let mut line = ground.open(follow()).await?;
    loop {
        match line.next().await? {
            Some(Frame::LogBytes(frame)) => {
                ensure!(frame.bytes == LOG, "{frame:?}");
                break;
            }
            Some(Frame::LogSource(_)) => {}
            other => anyhow::bail!("no log: {other:?}"),
        }
    }
    match how {
        0 => line.send(left()).await,
        _ => {
            line.cut();
            Ok(())
        }
    }
}

async fn process(ground: &Ground, how: usize) -> Result<()> {
    let mut person = Person::at(ground.open(run("cat")).await?);
    person.types(b"hello\n");
    person.talk(|person| person.output == b"hello\n").await?;
    match how {
        0 => person.line.send(left()).await?,
        1 => person.line.cut(),
        _ => {
            person.types(b"quit\n");
            ensure!(person.exit_code().await? == 0);
        }
    }
    Ok(())
}

fn left() -> Frame {
    Frame::End(End::new(EndCode::Left, ""))
}

async fn all_over(ground: &Ground) -> Result<()> {
    eventually("all streams have ended", Duration::from_secs(60), || async {
        let (running, tasks, sockets) = (ground.streams.running(), ground.tracker.len(), ground.seam.open());
        ensure!(
            running == 0 && tasks == 0 && sockets == 0,
            "{running} streams, {tasks} tasks of theirs, {sockets} sockets of the platform"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_thousands_of_streams() -> Result<()> {
    let ground = Ground::start(Exec::Speaks(V4)).await?;
    let round = async || try_join_all((0..AT_ONCE).map(|number| one(&ground, number))).await;
    round().await?;
    all_over(&ground).await?;
    let before = Count::of(&ground)?;

    let begun = Instant::now();
    for _ in 0..ROUNDS {
        round().await?;
    }
    all_over(&ground).await?;
    eventually("all is as it was before", Duration::from_secs(60), || async {
        let now = Count::of(&ground)?;
        let figures = || format!("before {before:?}, after {} streams {now:?}", ROUNDS * AT_ONCE);
        // The pool of the client may hold as many connections as calls were made at once, each with a task on both ends.
        ensure!(now.connections <= AT_ONCE, "{}", figures());
        let more = ENDS * now.connections.saturating_sub(before.connections);
        ensure!(now.tasks <= before.tasks + more + 2, "{}", figures());
        ensure!(now.descriptors <= before.descriptors + more + 2, "{}", figures());
        Ok(())
    })
    .await?;
    println!(
        "{} streams in {:?}: before {before:?}, after {:?}",
        ROUNDS * AT_ONCE,
        begun.elapsed(),
        Count::of(&ground)?
    );
    ground.end().await
}
