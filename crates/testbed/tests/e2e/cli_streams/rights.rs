//! Who may, and who may no longer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use c7n_testbed::stack::eventually;
use c7n_testbed::terminal::Terminal;
use serde_json::{Value, json};

use super::api::Api;
use super::{Scene, complaint};
use crate::stand::PATIENCE;

/// A right that is taken away ends what it allowed within so long; and some patience with a busy machine.
const CUT: Duration = Duration::from_secs(30 + 10);

#[tokio::test]
async fn a_developer_reads_logs_and_runs_nothing() -> Result<()> {
    let Some(scene) = Scene::open("rights").await? else {
        return Ok(());
    };
    scene.pod("web-a", "web", "echo hello; sleep 1000").await?;
    scene.runs("web-a").await?;
    let token = Api::of(&scene)?.person(&scene, "dora", "developer").await?;
    let dora = scene.stand.cli.with_token(&token);

    eventually("what the pod said is shown", PATIENCE, || async {
        let logs = dora.output(&scene.arguments("logs", &["web-a"])).await?;
        ensure!(logs.status.success() && logs.stdout == b"hello\n", "{logs:?}");
        Ok(())
    })
    .await?;
    for refused in [
        scene.arguments("exec", &["web-a", "--", "true"]),
        scene.arguments("cp", &["web-a:/etc/passwd", "/tmp/c7n-never-there"]),
    ] {
        let output = dora.output(&refused).await?;
        ensure!(
            output.status.code() == Some(1) && output.stdout.is_empty(),
            "{output:?}"
        );
        ensure!(complaint(&output).contains("next:"), "{output:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_taken_away_ends_what_goes_on() -> Result<()> {
    let Some(scene) = Scene::open("taken").await? else {
        return Ok(());
    };
    scene.idle_pod("web-a", "web").await?;
    let api = Api::of(&scene)?;
    let new = json!({ "name": "for a while", "expires_ms": null });
    let issued = api.call("POST", "me/tokens", new).await?;
    let token = issued["token"].as_str().context("no token")?;
    let listed = api.call("GET", "me/tokens", Value::Null).await?;
    let list = listed
        .as_array()
        .or_else(|| listed["items"].as_array())
        .context("no list")?;
    let id = list
        .iter()
        .find(|known| known["name"] == "for a while")
        .and_then(|known| known["id"].as_str())
        .with_context(|| listed.to_string())?;
    let cli = scene.stand.cli.with_token(token);
    let mut terminal = Terminal::start(&cli.command(&scene.arguments("exec", &["-it", "web-a"])), 80, 24)?;
    terminal.answers("echo rea''dy\r", "ready").await?;

    api.call("DELETE", &format!("me/tokens/{id}"), Value::Null)
        .await?;
    let taken = Instant::now();
    let status = terminal.ends().await?;

    ensure!(taken.elapsed() < CUT, "after {:?}", taken.elapsed());
    ensure!(status.code() == Some(1), "{status}: {}", terminal.shown());
    terminal.check_restored()
}
