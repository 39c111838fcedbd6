//! A gibibyte into a pod and out again, whole, and what platform and agent take of memory meanwhile.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use super::Stand;
use crate::figures::round;
use crate::usage::Usage;

const BYTES: u64 = 1 << 30;
const PATIENCE: Duration = Duration::from_secs(300);
const IN_THE_POD: &str = "/store/copied";

pub async fn measure(stand: &Stand) -> Result<Value> {
    let folder = stand.stage.folder.path();
    let (there, back) = (folder.join("there"), folder.join("back"));
    write_noise(&there)?;
    let wanted = checksum(Command::new("sha256sum").arg(&there)).await?;
    let server = Usage::of(stand.stage.server.pid().context("the server is away")?);
    let agent = Usage::of(stand.stage.agent_pid()?);
    let inside = format!("cell:{IN_THE_POD}");

    let into = copy(stand.ours("cp", &[&there.to_string_lossy(), &inside])).await?;
    let arrived = checksum(&mut stand.theirs("exec", &["cell", "--", "sha256sum", IN_THE_POD])).await?;
    ensure!(arrived == wanted, "another file arrived");
    let out = copy(stand.ours("cp", &[&inside, &back.to_string_lossy()])).await?;
    let returned = checksum(Command::new("sha256sum").arg(&back)).await?;
    ensure!(returned == wanted, "another file came back");

    let peaks = (server.so_far().peak_mb, agent.so_far().peak_mb);
    let floor_into = copy(stand.theirs("cp", &[&there.to_string_lossy(), &inside])).await?;
    std::fs::remove_file(&back)?;
    let floor_out = copy(stand.theirs("cp", &[&inside, &back.to_string_lossy()])).await?;
    let speed = |took: Duration| round(BYTES as f64 / 1e6 / took.as_secs_f64());
    Ok(json!({
        "into_mb_s": speed(into),
        "floor_into_mb_s": speed(floor_into),
        "out_mb_s": speed(out),
        "floor_out_mb_s": speed(floor_out),
        "server_peak_mb": round(peaks.0),
        "agent_peak_mb": round(peaks.1),
    }))
}

/// Of no pattern: whatever is lost, doubled or out of order changes the checksum.
fn write_noise(path: &Path) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..BYTES / 8 {
        // Marsaglia's xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    file.flush().map_err(Into::into)
}

async fn copy(mut command: Command) -> Result<Duration> {
    let began = Instant::now();
    let status = tokio::time::timeout(PATIENCE, command.stdin(Stdio::null()).status())
        .await
        .context("the copy takes too long")??;
    ensure!(status.success(), "the copy ended with {status}");
    Ok(began.elapsed())
}

async fn checksum(command: &mut Command) -> Result<String> {
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .context("the checksum takes too long")??;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}
