//! `kill -9` of either side in the middle of the work: it converges, and nothing is doubled.

use std::time::Duration;

use anyhow::Result;
use c7n_testbed::stack::eventually;

use crate::stand::{PATIENCE, Stand, StandEnvironment, config_map};

#[tokio::test]
async fn the_agent_is_killed_in_the_middle_of_a_delivery() -> Result<()> {
    let mut stand = Stand::with_cluster("agentkill").await?;
    let environment = stand.environment("staging").await?;
    for round in 0..3_u32 {
        many(&environment, round)?;
        let commit = environment.copy.publish(&format!("Round {round}")).await?;
        // Somewhere in the middle: the first objects are there, the last are not.
        tokio::time::sleep(Duration::from_millis(60 + 70 * u64::from(round))).await;
        stand.agents[0].kill().await?;
        stand.agents[0].restart()?;
        stand.converges("staging", &commit).await?;
        all_there(&environment, round).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_server_is_killed_in_the_middle_of_an_intake() -> Result<()> {
    let mut stand = Stand::with_cluster("serverkill").await?;
    let environment = stand.environment("staging").await?;
    for round in 0..3_u32 {
        many(&environment, round)?;
        let commit = environment.copy.publish(&format!("Round {round}")).await?;
        tokio::time::sleep(Duration::from_millis(5 + 40 * u64::from(round))).await;
        stand.server.kill().await?;
        stand.server.restart().await?;
        stand.converges("staging", &commit).await?;
        all_there(&environment, round).await?;
    }
    let history: c7n_api::Page<c7n_api::HistoryEntry> = history(&stand).await?;
    let mut commits: Vec<&str> = history
        .items
        .iter()
        .map(|entry| entry.commit.id.as_str())
        .collect();
    let seen = commits.len();
    commits.sort_unstable();
    commits.dedup();
    assert_eq!(commits.len(), seen, "no commit is taken in twice");
    Ok(())
}

#[tokio::test]
async fn the_agent_goes_on_delivering_and_healing_while_the_platform_is_away() -> Result<()> {
    let mut stand = Stand::with_cluster("away").await?;
    let environment = stand.environment("staging").await?;
    environment.copy.write("a.yaml", &config_map("a", "k", "1"))?;
    let commit = environment.copy.publish("One").await?;
    stand.converges("staging", &commit).await?;

    stand.server.kill().await?;
    environment
        .kubectl
        .run(&["-n", &environment.namespace, "delete", "configmap", "a"])
        .await?;
    environment
        .appears("configmap", "a")
        .await
        .map_err(|error| stand.explain(error))?;

    stand.server.restart().await?;
    stand.converges("staging", &commit).await?;
    Ok(())
}

async fn history(stand: &Stand) -> Result<c7n_api::Page<c7n_api::HistoryEntry>> {
    let items: Vec<c7n_api::HistoryEntry> = stand
        .cli
        .json(&["env", "history", "-p", &stand.project, "staging"])
        .await?;
    Ok(c7n_api::Page { items, next: None })
}

const MANY: u32 = 120;

fn many(environment: &StandEnvironment, round: u32) -> Result<()> {
    for number in 0..MANY {
        let name = format!("object-{number}");
        environment.copy.write(
            &format!("{name}.yaml"),
            &config_map(&name, "round", &round.to_string()),
        )?;
    }
    Ok(())
}

async fn all_there(environment: &StandEnvironment, round: u32) -> Result<()> {
    let round = round.to_string();
    eventually("all objects are of this round", PATIENCE, || async {
        let list = environment
            .kubectl
            .json(&["get", "configmaps", "-n", &environment.namespace])
            .await?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let current = items
            .iter()
            .filter(|item| item["data"]["round"] == round.as_str())
            .count();
        anyhow::ensure!(current == MANY as usize, "{current} of {MANY}");
        Ok(())
    })
    .await
}
