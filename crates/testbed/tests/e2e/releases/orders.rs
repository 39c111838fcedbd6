//! Cancel, retry and test by command.

use anyhow::Result;

use super::{Scene, Wish};

#[tokio::test]
async fn what_goes_on_can_be_cancelled_and_tried_again() -> Result<()> {
    let scene = Scene::new("cancel").await?;
    if !scene.publish_for_real("hooks", "_job.tpl").await? {
        return Ok(());
    }
    let wish = Wish::new("app", "hooks", "1.0.0").values("slow: pre-install\nseconds: 15");
    scene.push(&[&wish], "Slow").await?;
    scene
        .becomes("app", "under way", |status| status["phase"] == "Installing")
        .await?;
    scene.environment.appears("job", "app-pre-install").await?;
    let on = ["-p", scene.stand.project.as_str(), "staging", "app"];

    scene
        .stand
        .cli
        .run(&[&["env", "cancel-release"], on.as_slice()].concat())
        .await?;
    let status = scene
        .becomes("app", "cancelled", |status| status["phase"] == "Failed")
        .await?;
    assert!(status["conditions"].to_string().contains("Cancelled"), "{status}");
    let again = scene
        .stand
        .cli
        .output(&[&["env", "cancel-release"], on.as_slice()].concat())
        .await?;
    assert_eq!(again.status.code(), Some(1), "nothing goes on any more");

    scene
        .stand
        .cli
        .run(&[&["env", "retry-release"], on.as_slice()].concat())
        .await?;
    scene
        .becomes("app", "deployed", |status| status["phase"] == "Deployed")
        .await?;
    Ok(())
}

#[tokio::test]
async fn tests_of_a_chart_run_and_are_answered_with_their_logs() -> Result<()> {
    let scene = Scene::new("tests").await?;
    if !scene.publish_for_real("tested", "tests/message.yaml").await? {
        return Ok(());
    }
    scene
        .push(
            &[
                &Wish::new("good", "tested", "1.0.0"),
                &Wish::new("bad", "tested", "1.0.0").values("expect: something else"),
            ],
            "Two",
        )
        .await?;
    scene.deployed("good", 1).await?;
    scene.deployed("bad", 1).await?;
    let project = scene.stand.project.as_str();

    let text = scene
        .stand
        .cli
        .run(&["env", "test-release", "-p", project, "staging", "good"])
        .await?;
    assert!(
        text.contains("the message is hello") && text.contains("succeeded"),
        "{text}"
    );

    let output = scene
        .stand
        .cli
        .output(&["env", "test-release", "-p", project, "staging", "bad"])
        .await?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("the message is hello"), "{text}");
    Ok(())
}
