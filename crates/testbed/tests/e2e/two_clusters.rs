//! Many environments on several clusters: each gets its own, and nothing of another's.

use anyhow::Result;
use c7n_api::ClusterState;

use crate::stand::{Stand, TestCluster, config_map};

#[tokio::test]
async fn environments_on_two_clusters_are_delivered_at_once_and_apart() -> Result<()> {
    let mut stand = Stand::with_cluster("two").await?;
    stand.join("west", TestCluster::B, &[]).await?;
    let (east, west, http) = tokio::try_join!(
        stand.environment("staging"),
        stand.environment_on("production", "west", TestCluster::B, stand.http_access()),
        stand.environment_on("testing", "east", TestCluster::A, stand.http_access()),
    )?;

    let mut commits = Vec::new();
    for (environment, place) in [(&east, "east"), (&west, "west"), (&http, "east too")] {
        environment
            .copy
            .write("settings.yaml", &config_map("settings", "place", place))?;
        commits.push(environment.copy.commit("First").await?);
    }
    tokio::try_join!(east.copy.push(), west.copy.push(), http.copy.push())?;

    tokio::try_join!(
        stand.converges("staging", &commits[0]),
        stand.converges("production", &commits[1]),
        stand.converges("testing", &commits[2]),
    )?;
    for (environment, place) in [(&east, "east"), (&west, "west"), (&http, "east too")] {
        assert_eq!(
            environment.get("configmap", "settings").await?["data"]["place"],
            place
        );
    }
    assert!(
        TestCluster::B
            .kubectl()?
            .find(&["namespace", &east.namespace])
            .await?
            .is_none()
    );

    // One cluster goes away: it is shown so, and the other goes on.
    stand.agents[1].stop().await?;
    stand.cluster_becomes("west", ClusterState::Disconnected).await?;
    assert!(stand.show("production").await?.stale);
    east.copy
        .write("settings.yaml", &config_map("settings", "place", "still east"))?;
    let next = east.copy.publish("Second").await?;
    stand.converges("staging", &next).await?;

    // What was pushed meanwhile arrives when it is back.
    west.copy
        .write("settings.yaml", &config_map("settings", "place", "west again"))?;
    let missed = west.copy.publish("While away").await?;
    stand.agents[1].restart()?;
    stand.converges("production", &missed).await?;
    assert_eq!(
        west.get("configmap", "settings").await?["data"]["place"],
        "west again"
    );
    Ok(())
}
