//! From a key to its echo: one byte and a line break into `cat` in the container, and back.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{Both, Stand};
use crate::figures::Times;
use crate::usage::look;

const PATIENCE: Duration = Duration::from_secs(30);
/// People do not type faster; a queue of keys would measure something else.
const PAUSE: Duration = Duration::from_millis(5);
const WARM_UP: usize = 20;
/// How often calm and stalled take turns.
const TURNS: usize = 10;

pub async fn alternating(stand: &Stand, rounds: usize) -> Result<Both> {
    let mut ours = Typist::sit_down(stand.ours("exec", &["-i", "cell", "--", "cat"])).await?;
    let mut theirs = Typist::sit_down(stand.theirs("exec", &["-i", "cell", "--", "cat"])).await?;
    let (mut measured, mut floor) = (Times::default(), Times::default());
    for _ in 0..rounds {
        measured.push(ours.key().await?);
        floor.push(theirs.key().await?);
    }
    Ok((measured, floor))
}

/// What a key takes without, with, and again without somebody else who reads nothing of what he asked for. The two without
/// tell how far such a figure differs from itself.
#[derive(Default)]
pub struct Felt {
    pub calm: Times,
    pub stalled: Times,
    pub calm_again: Times,
}

/// The one who stalls follows a flood in the same cluster.
pub async fn beside_a_stalled_reader(stand: &Stand, rounds: usize) -> Result<Felt> {
    let mut typist = Typist::sit_down(stand.ours("exec", &["-i", "cell", "--", "cat"])).await?;
    let mut felt = Felt::default();
    for _ in 0..TURNS {
        typist.keys(rounds / TURNS, &mut felt.calm).await?;
        let mut reader = stand
            .ours("logs", &["-f", "pod/flood"])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut first = vec![0; 1 << 10];
        let mut pipe = reader.stdout.take().context("no stdout")?;
        tokio::time::timeout(PATIENCE, pipe.read_exact(&mut first)).await??;
        still(stand).await?;
        typist.keys(rounds / TURNS, &mut felt.stalled).await?;
        reader.kill().await?;
        // What was on the way is thrown away.
        still(stand).await?;
        typist.keys(rounds / TURNS, &mut felt.calm_again).await?;
    }
    Ok(felt)
}

/// Until every buffer on the way is full, or empty again, and nobody has anything to do: the machine's sockets take
/// megabytes each, and a flood that still runs would be measured instead of a reader that stalls.
async fn still(stand: &Stand) -> Result<()> {
    const MOMENT: Duration = Duration::from_millis(500);
    let pids = [
        stand.stage.server.pid().context("the server is away")?,
        stand.stage.agent_pid()?,
    ];
    let busy = || pids.map(|pid| look(pid).cpu_s).iter().sum::<f64>();
    let begun = Instant::now();
    let mut quiet = 0;
    while quiet < 2 {
        ensure!(begun.elapsed() < PATIENCE, "the flood does not come to a stop");
        let before = busy();
        tokio::time::sleep(MOMENT).await;
        quiet = if busy() - before <= 0.02 { quiet + 1 } else { 0 };
    }
    Ok(())
}

struct Typist {
    _program: Child,
    keys: ChildStdin,
    echo: ChildStdout,
}

impl Typist {
    async fn sit_down(mut command: Command) -> Result<Self> {
        let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let keys = program.stdin.take().context("no stdin")?;
        let echo = program.stdout.take().context("no stdout")?;
        let mut typist = Self {
            _program: program,
            keys,
            echo,
        };
        for _ in 0..WARM_UP {
            typist.key().await?;
        }
        Ok(typist)
    }

    async fn keys(&mut self, count: usize, times: &mut Times) -> Result<()> {
        for _ in 0..count {
            times.push(self.key().await?);
        }
        Ok(())
    }

    async fn key(&mut self) -> Result<Duration> {
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        self.keys.write_all(b"x\n").await?;
        let mut seen = [0; 2];
        tokio::time::timeout(PATIENCE, self.echo.read_exact(&mut seen))
            .await
            .context("no echo")??;
        ensure!(&seen == b"x\n", "another echo: {seen:?}");
        Ok(began.elapsed())
    }
}
