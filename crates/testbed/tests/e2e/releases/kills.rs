//! Broken off in the middle: by a newer commit, or by the death of the agent. Nothing stays pending.

use std::time::Duration;

use anyhow::Result;

use super::{Scene, Wish};

const SLOW: &str = "slow: pre-install\nseconds: 600";

async fn installing(scene: &Scene) -> Result<()> {
    scene
        .becomes("app", "under way", |status| status["phase"] == "Installing")
        .await?;
    scene.environment.appears("job", "app-pre-install").await?;
    Ok(())
}

#[tokio::test]
async fn a_newer_commit_supersedes_what_runs() -> Result<()> {
    let scene = Scene::new("newer").await?;
    if !scene.publish_for_real("hooks", "_job.tpl").await? {
        return Ok(());
    }
    scene
        .push(&[&Wish::new("app", "hooks", "1.0.0").values(SLOW)], "Slow")
        .await?;
    installing(&scene).await?;

    scene
        .push(
            &[&Wish::new("app", "hooks", "1.0.0").values("message: quick")],
            "Quick",
        )
        .await?;

    scene
        .becomes("app", "deployed", |status| status["phase"] == "Deployed")
        .await?;
    assert_eq!(
        scene.environment.get("configmap", "app").await?["data"]["message"],
        "quick"
    );
    let history = scene.history("app").await?;
    assert!(
        history.iter().all(|(_, status)| !status.starts_with("pending")),
        "{history:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_agent_is_killed_in_the_middle_of_an_install() -> Result<()> {
    let mut scene = Scene::new("midkill").await?;
    if !scene.publish_for_real("hooks", "_job.tpl").await? {
        return Ok(());
    }
    scene
        .push(
            &[&Wish::new("app", "hooks", "1.0.0").values("slow: pre-install\nseconds: 8")],
            "Slow",
        )
        .await?;
    installing(&scene).await?;

    scene.stand.agents[0].kill().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.stand.agents[0].restart()?;

    scene
        .becomes("app", "deployed", |status| status["phase"] == "Deployed")
        .await?;
    let history = scene.history("app").await?;
    assert!(
        history.iter().all(|(_, status)| !status.starts_with("pending")),
        "{history:?}"
    );
    assert_eq!(
        history.last().map(|(_, status)| status.as_str()),
        Some("deployed")
    );
    Ok(())
}

#[tokio::test]
async fn a_release_that_is_deleted_in_the_middle_of_its_install_goes() -> Result<()> {
    let scene = Scene::new("middelete").await?;
    if !scene.publish_for_real("hooks", "_job.tpl").await? {
        return Ok(());
    }
    scene
        .push(&[&Wish::new("app", "hooks", "1.0.0").values(SLOW)], "Slow")
        .await?;
    installing(&scene).await?;

    scene.remove("app").await?;

    scene
        .environment
        .disappears("c7nhelmrelease", "app")
        .await
        .map_err(|error| scene.stand.explain(error))?;
    assert!(scene.listed().await?.is_empty());
    Ok(())
}
