//! `c7n exec -it` in a terminal.

use anyhow::{Result, ensure};
use c7n_testbed::terminal::Terminal;
use rustix::process::Signal;

use super::Scene;

impl Scene {
    fn shell(&self, pod: &str) -> Result<Terminal> {
        let command = self.stand.cli.command(&self.arguments("exec", &["-it", pod]));
        Terminal::start(&command, 80, 24)
    }
}

#[tokio::test]
async fn a_shell_in_a_pod_is_as_one_here() -> Result<()> {
    let Some(scene) = Scene::open("shell").await? else {
        return Ok(());
    };
    scene.idle_pod("web-a", "web").await?;
    let mut terminal = scene.shell("web-a")?;

    // Its size, at the start and after a change.
    terminal.answers("stty size\r", "24 80").await?;
    ensure!(terminal.is_raw()?);
    terminal.resize(132, 43)?;
    terminal.answers("stty size\r", "43 132").await?;

    // Ctrl-C is the program's, not ours.
    terminal.type_in("echo be''gins; sleep 1000; echo status $?\r")?;
    terminal.shows("begins").await?;
    terminal.type_in("\x03")?;
    terminal.answers("echo still he''re\r", "still here").await?;

    // A program that draws.
    terminal.type_in("vi /tmp/drawn\r")?;
    terminal.shows("- /tmp/drawn 1/1").await?;
    terminal.type_in("igrüße from vi")?;
    terminal.shows("grüße from vi").await?;
    // Alone: with what follows at once it would be another key.
    terminal.type_in("\x1b")?;
    terminal.shows_times("- /tmp/drawn", 2).await?;
    terminal.type_in(":wq\r")?;
    terminal.shows("\x1b[?1049l").await?;
    terminal
        .answers("cat /tmp/drawn; echo do''ne\r", "grüße from vi\r\ndone")
        .await?;

    terminal.type_in("exit 7\r")?;
    let status = terminal.ends().await?;
    ensure!(status.code() == Some(7), "{status}: {}", terminal.shown());
    terminal.check_restored()
}

#[tokio::test]
async fn the_terminal_is_put_back_whatever_ends_the_session() -> Result<()> {
    let Some(scene) = Scene::open("restored").await? else {
        return Ok(());
    };
    scene.idle_pod("web-a", "web").await?;
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut terminal = scene.shell("web-a")?;
        terminal.answers("echo rea''dy\r", "ready").await?;
        ensure!(terminal.is_raw()?);
        terminal.signal(signal)?;
        let status = terminal.ends().await?;
        ensure!(
            status.code() == Some(code),
            "{signal:?}: {status}: {}",
            terminal.shown()
        );
        terminal.check_restored()?;
    }

    // An error of the other side.
    let mut terminal = scene.shell("web-a")?;
    terminal.answers("echo rea''dy\r", "ready").await?;
    let namespace = scene.environment.namespace.as_str();
    scene
        .environment
        .kubectl
        .run(&[
            "delete",
            "pod",
            "web-a",
            "-n",
            namespace,
            "--grace-period=0",
            "--force",
        ])
        .await?;
    let status = terminal.ends().await?;
    ensure!(!status.success(), "{}", terminal.shown());
    terminal.check_restored()
}
