//! What goes wrong ends as Failed with words, and what was before comes back where that is asked for.

use anyhow::Result;

use super::{Scene, Wish};
use crate::stand::{Stand, TestCluster};

#[tokio::test]
async fn a_hook_that_fails_is_told_with_its_log() -> Result<()> {
    let scene = Scene::new("hook").await?;
    if !scene.publish_for_real("hooks", "_job.tpl").await? {
        return Ok(());
    }
    scene
        .push(
            &[&Wish::new("app", "hooks", "1.0.0").values("fail: pre-install")],
            "Install",
        )
        .await?;

    let status = scene
        .becomes("app", "failed", |status| status["phase"] == "Failed")
        .await?;

    assert!(
        status["lastError"].as_str().is_some_and(|it| !it.is_empty()),
        "{status}"
    );
    let hooks = status["hooks"].to_string();
    assert!(
        hooks.contains("it does not work out") && hooks.contains("failed"),
        "{hooks}"
    );
    let told = status["conditions"].to_string();
    assert!(told.contains("Stalled") && told.contains("HookFailed"), "{told}");

    // A changed wish does not wait for the back-off.
    scene
        .push(&[&Wish::new("app", "hooks", "1.0.0")], "Mended")
        .await?;
    let status = scene
        .becomes("app", "deployed", |status| status["phase"] == "Deployed")
        .await?;
    assert!(
        status.get("lastError").is_none_or(serde_json::Value::is_null),
        "{status}"
    );
    let hooks = status["hooks"].to_string();
    assert!(
        hooks.contains("migrating") && hooks.contains("succeeded"),
        "{hooks}"
    );
    Ok(())
}

#[tokio::test]
async fn a_failed_upgrade_is_rolled_back_where_that_is_asked_for_and_not_tried_for_ever() -> Result<()> {
    let scene = Scene::new("rollback").await?;
    if !scene.publish_for_real("hooks", "_job.tpl").await? {
        return Ok(());
    }
    let good = Wish::new("app", "hooks", "1.0.0")
        .values("message: good")
        .with("onFailure: RollBack");
    scene.push(&[&good], "Install").await?;
    scene.deployed("app", 1).await?;

    let bad = good.clone().values("message: bad\nfail: post-upgrade");
    scene.push(&[&bad], "Bad").await?;
    let status = scene
        .becomes("app", "failed", |status| status["phase"] == "Failed")
        .await?;

    assert_eq!(
        scene.environment.get("configmap", "app").await?["data"]["message"],
        "good"
    );
    assert!(
        status["conditions"].to_string().contains("RolledBack"),
        "{status}"
    );
    let operations = scene.operations()?;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(scene.operations()?, operations, "it is not tried again by itself");

    let next = good.clone().values("message: better");
    scene.push(&[&next], "Better").await?;
    scene
        .becomes("app", "deployed", |status| status["phase"] == "Deployed")
        .await?;
    assert_eq!(
        scene.environment.get("configmap", "app").await?["data"]["message"],
        "better"
    );
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_fetched_or_does_not_fit_says_what_to_do() -> Result<()> {
    let scene = Scene::new("words").await?;
    scene.publish("schema")?;
    scene
        .push(
            &[
                &Wish::new("missing", "web", "9.9.9"),
                &Wish::new("misfit", "schema", "1.0.0").values("pin: not-a-pin"),
                &Wish::new("unsaid", "web", "1.0.0").values("- a list"),
                &Wish::new("secretless", "web", "1.0.0").with("repoSecret: nowhere"),
            ],
            "Four that cannot be",
        )
        .await?;

    for (name, reason, words) in [
        ("missing", "FetchFailed", "9.9.9"),
        ("misfit", "ValuesInvalid", "do not fit"),
        ("unsaid", "InvalidSpec", "mapping"),
        ("secretless", "SecretMissing", "nowhere"),
    ] {
        let status = scene
            .becomes(name, "failed", |status| status["phase"] == "Failed")
            .await?;
        assert!(
            status["conditions"].to_string().contains(reason),
            "{name}: {status}"
        );
        assert!(
            status["lastError"].as_str().is_some_and(|it| it.contains(words)),
            "{name}: {status}"
        );
    }
    assert!(scene.listed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn without_the_program_of_the_workers_everything_else_goes_on() -> Result<()> {
    let mut stand = Stand::empty("noworker").await?;
    stand
        .join("east", TestCluster::A, &["--helm-worker", "/nowhere/c7n-helm"])
        .await?;
    let scene = Scene::on(stand).await?;

    scene
        .push(&[&Wish::new("web", "web", "1.0.0")], "Install")
        .await?;

    let status = scene
        .becomes("web", "failed", |status| status["phase"] == "Failed")
        .await?;
    let words = status["lastError"].as_str().unwrap_or_default();
    assert!(words.contains("/nowhere/c7n-helm"), "{words}");
    let log = std::fs::read_to_string(scene.stand.agents[0].log())?;
    assert!(log.contains("--helm-worker"), "the log says what to do");
    Ok(())
}
