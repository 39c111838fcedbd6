//! The main job: a push becomes objects, over SSH and over HTTP, for people and for the agent.

use anyhow::Result;

use crate::stand::{Stand, TestCluster, config_map};

#[tokio::test]
async fn a_push_over_ssh_becomes_objects_and_moves_the_three_commits() -> Result<()> {
    let stand = Stand::with_cluster("ssh").await?;
    let environment = stand.environment("staging").await?;

    environment
        .copy
        .write("settings.yaml", &config_map("settings", "colour", "green"))?;
    let first = environment.copy.publish("Green").await?;

    stand.converges("staging", &first).await?;
    assert_eq!(
        environment.get("configmap", "settings").await?["data"]["colour"],
        "green"
    );
    assert_eq!(
        environment.tag("devops-sync").await?.as_deref(),
        Some(first.as_str())
    );
    assert_eq!(
        environment.tag("agent-sync").await?.as_deref(),
        Some(first.as_str())
    );

    environment
        .copy
        .write("settings.yaml", &config_map("settings", "colour", "blue"))?;
    environment
        .copy
        .write("more/other.yaml", &config_map("other", "a", "b"))?;
    let second = environment.copy.publish("Blue").await?;

    stand.converges("staging", &second).await?;
    assert_eq!(
        environment.get("configmap", "settings").await?["data"]["colour"],
        "blue"
    );
    assert_eq!(environment.get("configmap", "other").await?["data"]["a"], "b");

    environment.copy.remove("more/other.yaml")?;
    let third = environment.copy.publish("Without the other").await?;

    stand.converges("staging", &third).await?;
    environment.disappears("configmap", "other").await?;
    assert_eq!(
        environment.get("configmap", "settings").await?["data"]["colour"],
        "blue"
    );
    Ok(())
}

#[tokio::test]
async fn a_push_over_http_becomes_objects_through_an_agent_that_fetches_over_http() -> Result<()> {
    let mut stand = Stand::empty("http").await?;
    stand
        .join("east", TestCluster::A, &["--git-transport", "http"])
        .await?;
    let environment = stand
        .environment_on("staging", "east", TestCluster::A, stand.http_access())
        .await?;

    environment
        .copy
        .write("settings.yaml", &config_map("settings", "colour", "green"))?;
    let first = environment.copy.publish("Green").await?;

    stand.converges("staging", &first).await?;
    assert_eq!(
        environment.get("configmap", "settings").await?["data"]["colour"],
        "green"
    );

    environment.copy.remove("settings.yaml")?;
    environment
        .copy
        .write("other.yaml", &config_map("other", "a", "b"))?;
    environment
        .copy
        .write("third.yaml", &config_map("third", "a", "b"))?;
    let second = environment.copy.publish("Others").await?;

    stand.converges("staging", &second).await?;
    environment.disappears("configmap", "settings").await?;
    assert_eq!(
        environment.tag("agent-sync").await?.as_deref(),
        Some(second.as_str())
    );
    Ok(())
}

#[tokio::test]
async fn a_rewritten_history_is_applied_as_it_now_is() -> Result<()> {
    let stand = Stand::with_cluster("rewrite").await?;
    let environment = stand.environment("staging").await?;
    environment.copy.write("a.yaml", &config_map("a", "k", "1"))?;
    let first = environment.copy.publish("One").await?;
    environment.copy.write("a.yaml", &config_map("a", "k", "2"))?;
    let second = environment.copy.publish("Two").await?;
    stand.converges("staging", &second).await?;

    environment
        .copy
        .git(&["reset", "--quiet", "--hard", &first])
        .await?;
    environment
        .copy
        .git(&["push", "--quiet", "--force", "origin", "main"])
        .await?;

    stand.converges("staging", &first).await?;
    assert_eq!(environment.get("configmap", "a").await?["data"]["k"], "1");
    Ok(())
}
