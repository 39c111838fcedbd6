//! How many bytes pass in a second, from a container to a program that only counts them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::{EXEC_BYTES, LOG_BYTES, Stand};
use crate::figures::Times;

const ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy)]
pub enum Way {
    Exec,
    /// Of this pod.
    Log(&'static str),
}

/// Medians in megabytes (10^6) per second.
pub async fn alternating(stand: &Stand, way: Way) -> Result<(f64, f64)> {
    let (verb, arguments): (_, Vec<&str>) = match way {
        Way::Exec => ("exec", vec!["cell", "--", "cat", "/store/zeros"]),
        Way::Log(pod) => ("logs", vec![pod]),
    };
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    let mut size = None;
    for _ in 0..ROUNDS {
        for (command, times) in [
            (stand.ours(verb, &arguments), &mut ours),
            (stand.theirs(verb, &arguments), &mut theirs),
        ] {
            let (took, counted) = count(command).await?;
            ensure!(
                *size.get_or_insert(counted) == counted,
                "not every round brought the same {size:?} bytes: {counted}"
            );
            eprintln!("  {counted} bytes in {:.2} s", took.as_secs_f64());
            times.push(took);
        }
    }
    let size = size.context("no round")?;
    let least = match way {
        Way::Exec => EXEC_BYTES,
        Way::Log(_) => LOG_BYTES,
    };
    ensure!(size >= least, "{size} bytes are fewer than {least}");
    let speed = |times: &Times| size as f64 / 1e6 / (times.percentile(0.5) / 1000.0);
    Ok((speed(&ours), speed(&theirs)))
}

async fn count(mut command: Command) -> Result<(Duration, u64)> {
    let began = Instant::now();
    let mut program = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut pipe = program.stdout.take().context("no stdout")?;
    let counting = async {
        let (mut buffer, mut counted) = (vec![0; 1 << 20], 0_u64);
        loop {
            match pipe.read(&mut buffer).await? {
                0 => return anyhow::Ok(counted),
                more => counted += more as u64,
            }
        }
    };
    let counted = tokio::time::timeout(PATIENCE, counting)
        .await
        .context("too slow")??;
    let status = program.wait().await?;
    ensure!(status.success(), "it ended with {status}");
    Ok((began.elapsed(), counted))
}
