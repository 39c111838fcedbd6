//! Archives that are small and unpack to a lot: what they cost whoever reads them, as the kernel counts it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use c7n_testbed::stack::charts::{ChartFolder, Packed};
use tokio::process::Command;

use super::{Scene, Wish};
use crate::stand::Stand;

/// What reading bombs may add to a process that is warm.
const MOST_MIB: u64 = 128;

/// The chart `web` with so many files of 4 MiB, all zeros. By the system's `tar`, which is quick at it.
async fn with_zeros(folder: &Path, version: &str, files: u32) -> Result<Packed> {
    let packed = ChartFolder::fixture("web")?.at_version(version)?;
    let work = folder.join(format!("zeros-{version}"));
    let chart = work.join("web");
    std::fs::create_dir_all(chart.join("files"))?;
    std::fs::write(chart.join("Chart.yaml"), packed.file("Chart.yaml")?)?;
    std::fs::write(chart.join("values.yaml"), packed.file("values.yaml")?)?;
    for number in 0..files {
        std::fs::File::create(chart.join(format!("files/{number}")))?.set_len(4 << 20)?;
    }
    let output = Command::new("tar")
        .args(["-czf", "-", "web"])
        .current_dir(&work)
        .output();
    let output = output.await.context("running tar")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(Packed {
        archive: output.stdout,
        ..packed.pack()?
    })
}

/// `VmHWM` (proc(5)): the most memory that the process ever had.
fn peak_mib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line.context("VmHWM")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib >> 10)
}

/// From now on the peak is counted anew, from what there is.
fn forget_peak(pid: u32) -> Result<u64> {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    peak_mib(pid)
}

/// The most that any child of this process has, until the work is done.
async fn while_children_are_watched<T>(pid: u32, work: impl Future<Output = Result<T>>) -> Result<(T, u64)> {
    let mut most = 0;
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok((done?, most)),
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {
                let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
                for child in children.split_whitespace() {
                    // One may have ended meanwhile.
                    most = most.max(peak_mib(child.parse()?).unwrap_or_default());
                }
            }
        }
    }
}

#[tokio::test]
async fn bombs_that_are_published_cost_the_platform_little() -> Result<()> {
    let stand = Stand::empty("bomb").await?;
    stand
        .cli
        .run(&["app", "create", "-p", &stand.project, "web"])
        .await?;
    let pid = stand.server.pid().context("the server runs")?;
    let publish = |chart: &Packed, name: &str| -> Result<_> {
        let file = stand.folder().join(name);
        std::fs::write(&file, &chart.archive)?;
        let (cli, project) = (stand.cli.clone(), stand.project.clone());
        Ok(tokio::spawn(async move {
            cli.output(&["app", "publish", "-p", &project, &file.to_string_lossy()])
                .await
        }))
    };
    let over = with_zeros(stand.folder(), "6.0.0", 40).await?;
    ensure!(over.archive.len() < 1 << 20);
    let below = with_zeros(stand.folder(), "6.1.0", 24).await?;

    let before = forget_peak(pid)?;
    let many: Vec<_> = (0..8)
        .map(|n| publish(&over, &format!("over-{n}.tgz")))
        .collect::<Result<_>>()?;
    for one in many {
        let output = one.await??;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success() && words.contains("when unpacked"),
            "{words}"
        );
    }
    let output = publish(&below, "below.tgz")?.await??;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let after = peak_mib(pid)?;
    eprintln!(
        "eight bombs of 160 MiB and a chart of 96 MiB: the platform goes from {before} to at most {after} MiB"
    );
    ensure!(after - before < MOST_MIB, "from {before} to {after} MiB");
    Ok(())
}

#[tokio::test]
async fn bombs_that_are_delivered_cost_the_agent_little_and_end_with_their_worker() -> Result<()> {
    let mut scene = Scene::new("bombs").await?;
    let pid = scene.stand.agents[0].process()?.pid().context("the agent runs")?;
    for (version, files) in [("6.0.0", 40), ("6.1.0", 24)] {
        let chart = with_zeros(scene.stand.folder(), version, files).await?;
        scene.serve(chart);
    }

    let before = forget_peak(pid)?;
    scene.push(&[&Wish::new("over", "web", "6.0.0")], "Over").await?;
    let (status, worker) = while_children_are_watched(pid, scene.failed("over")).await?;
    let after = peak_mib(pid)?;
    eprintln!(
        "a bomb of 160 MiB: the agent goes from {before} to at most {after} MiB, its worker has at most {worker} MiB"
    );
    ensure!(status.to_string().contains("when unpacked"), "{status}");
    ensure!(after - before < MOST_MIB, "from {before} to {after} MiB");

    // As large as a chart may be: Helm reads it whole, in a process of its own that has a limit.
    let before = forget_peak(pid)?;
    scene
        .push(&[&Wish::new("below", "web", "6.1.0")], "Below")
        .await?;
    let ended = scene.becomes("below", "deployed or failed", |status| {
        matches!(status["phase"].as_str(), Some("Deployed" | "Failed"))
    });
    let (status, worker) = while_children_are_watched(pid, ended).await?;
    let after = peak_mib(pid)?;
    eprintln!(
        "a chart of 96 MiB ({}): the agent goes from {before} to at most {after} MiB, its worker has at most {worker} MiB",
        status["phase"]
    );
    ensure!(after - before < MOST_MIB, "from {before} to {after} MiB");

    // Everything else goes on.
    scene.push(&[&Wish::new("good", "web", "1.0.0")], "Good").await?;
    scene.deployed("good", 1).await.map(drop)
}
