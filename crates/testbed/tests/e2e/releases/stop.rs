//! Stop and start: sizes survive, whatever happens to the agent meanwhile.

use anyhow::{Result, ensure};
use c7n_testbed::stack::eventually;
use serde_json::json;

use super::{Scene, Wish};
use crate::stand::PATIENCE;

async fn replicas(scene: &Scene, name: &str) -> Result<i64> {
    let deployment = scene.environment.get("deployment", name).await?;
    Ok(deployment["spec"]["replicas"].as_i64().unwrap_or(-1))
}

async fn has_replicas(scene: &Scene, name: &str, wanted: i64) -> Result<()> {
    eventually(&format!("{name} has {wanted} replicas"), PATIENCE, || async {
        let found = replicas(scene, name).await?;
        ensure!(found == wanted, "it has {found}");
        Ok(())
    })
    .await
    .map_err(|error| scene.stand.explain(error))
}

#[tokio::test]
async fn sizes_come_back_after_a_stop_and_the_death_of_the_agent() -> Result<()> {
    let mut scene = Scene::new("stop").await?;
    let wish = Wish::new("web", "web", "1.0.0").values("replicas: 2");
    scene.push(&[&wish], "Install").await?;
    scene.deployed("web", 1).await?;
    // Somebody has scaled it since: what lives is what comes back.
    scene.scale_as("keda", "web", 3).await?;

    scene.push(&[&wish.clone().with("stopped: true")], "Stop").await?;
    let status = scene
        .becomes("web", "stopped", |status| status["phase"] == "Stopped")
        .await?;
    assert_eq!(status["stoppedReplicas"], json!({ "Deployment/web": 3 }));
    assert_eq!(replicas(&scene, "web").await?, 0);
    assert_eq!(status["revision"], 1, "a stop is no revision");

    scene.stand.agents[0].kill().await?;
    scene.stand.agents[0].restart()?;
    // Started by hand: stopped again.
    scene
        .kubectl(&["scale", "deployment", "web", "--replicas", "1"])
        .await?;
    has_replicas(&scene, "web", 0).await?;
    let status = scene
        .becomes("web", "stopped still", |status| status["phase"] == "Stopped")
        .await?;
    assert_eq!(status["stoppedReplicas"], json!({ "Deployment/web": 3 }));

    scene.push(&[&wish], "Start").await?;
    let status = scene.deployed("web", 1).await?;
    assert_eq!(replicas(&scene, "web").await?, 3);
    assert!(status.get("stoppedReplicas").is_none(), "{status}");
    Ok(())
}

#[tokio::test]
async fn an_upgrade_while_stopped_stays_stopped_and_brings_its_sizes_to_the_start() -> Result<()> {
    let scene = Scene::new("stopup").await?;
    let wish = |replicas: u32| Wish::new("web", "web", "1.0.0").values(&format!("replicas: {replicas}"));
    scene.push(&[&wish(1)], "Install").await?;
    scene.deployed("web", 1).await?;
    scene.push(&[&wish(1).with("stopped: true")], "Stop").await?;
    scene
        .becomes("web", "stopped", |status| status["phase"] == "Stopped")
        .await?;

    scene.push(&[&wish(2).with("stopped: true")], "Upgrade").await?;
    let status = scene
        .becomes("web", "upgraded and stopped", |status| {
            status["phase"] == "Stopped" && status["revision"] == 2
        })
        .await?;
    assert_eq!(status["stoppedReplicas"], json!({ "Deployment/web": 2 }));
    has_replicas(&scene, "web", 0).await?;

    scene.push(&[&wish(2)], "Start").await?;
    scene.deployed("web", 2).await?;
    has_replicas(&scene, "web", 2).await?;

    // The size is the chart's again: its next change is no conflict.
    scene.push(&[&wish(1)], "Smaller").await?;
    scene
        .becomes("web", "deployed", |status| {
            status["phase"] == "Deployed" && status["revision"] != 2
        })
        .await?;
    has_replicas(&scene, "web", 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_release_can_be_stopped_from_the_first_and_together_with_an_upgrade() -> Result<()> {
    let scene = Scene::new("stopnew").await?;
    let wish = |replicas: u32| Wish::new("web", "web", "1.0.0").values(&format!("replicas: {replicas}"));
    let stopped = |revision: u64| {
        move |status: &serde_json::Value| status["phase"] == "Stopped" && status["revision"] == revision
    };
    scene
        .push(&[&wish(2).with("stopped: true")], "Install, stopped")
        .await?;
    let status = scene.becomes("web", "installed and stopped", stopped(1)).await?;
    assert_eq!(status["stoppedReplicas"], json!({ "Deployment/web": 2 }));
    assert_eq!(replicas(&scene, "web").await?, 0);
    scene.push(&[&wish(2)], "Start").await?;
    scene.deployed("web", 1).await?;
    has_replicas(&scene, "web", 2).await?;

    scene
        .push(&[&wish(3).with("stopped: true")], "Upgrade and stop")
        .await?;
    let status = scene.becomes("web", "upgraded and stopped", stopped(2)).await?;
    assert_eq!(status["stoppedReplicas"], json!({ "Deployment/web": 3 }));
    assert_eq!(replicas(&scene, "web").await?, 0);
    scene.push(&[&wish(3)], "Start again").await?;
    scene.deployed("web", 2).await?;
    has_replicas(&scene, "web", 3).await?;
    Ok(())
}
