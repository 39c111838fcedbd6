//! Deleted files delete their objects, and a mistake does not delete everything.

use anyhow::{Result, ensure};
use c7n_api::{ClusterState, Forgotten};
use c7n_testbed::stack::eventually;

use crate::stand::{PATIENCE, Stand, TestCluster, config_map};

#[tokio::test]
async fn an_emptied_repository_deletes_nothing_until_a_person_says_so() -> Result<()> {
    let stand = Stand::with_cluster("emptied").await?;
    let environment = stand.environment("staging").await?;
    for name in ["a", "b", "c"] {
        environment
            .copy
            .write(&format!("{name}.yaml"), &config_map(name, "k", "1"))?;
    }
    let first = environment.copy.publish("Three").await?;
    stand.converges("staging", &first).await?;

    for name in ["a", "b", "c"] {
        environment.copy.remove(&format!("{name}.yaml"))?;
    }
    environment.copy.write("README.md", "nothing here\n")?;
    let second = environment.copy.publish("Nothing").await?;

    let held = eventually("the deletions are held", PATIENCE, || async {
        stand
            .show("staging")
            .await?
            .held
            .ok_or_else(|| anyhow::anyhow!("nothing is held"))
    })
    .await
    .map_err(|error| stand.explain(error))?;
    assert_eq!((held.count, held.commit.as_str()), (3, second.as_str()));
    for name in ["a", "b", "c"] {
        environment.get("configmap", name).await?;
    }
    assert!(!stand.show("staging").await?.converged);

    stand
        .cli
        .run(&[
            "env",
            "confirm-deletions",
            "-p",
            &stand.project,
            "staging",
            "--yes",
        ])
        .await?;

    stand.converges("staging", &second).await?;
    for name in ["a", "b", "c"] {
        environment.disappears("configmap", name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_deleted_environment_goes_with_its_namespace_and_leaves_the_others() -> Result<()> {
    let stand = Stand::with_cluster("gone").await?;
    let (kept, gone) = tokio::try_join!(stand.environment("kept"), stand.environment("gone"))?;
    for environment in [&kept, &gone] {
        environment.copy.write("a.yaml", &config_map("a", "k", "1"))?;
        let commit = environment.copy.publish("One").await?;
        stand.converges(&environment.name, &commit).await?;
    }

    stand
        .cli
        .run(&["env", "delete", "-p", &stand.project, "gone", "--yes"])
        .await?;

    let kubectl = TestCluster::A.kubectl()?;
    eventually("the namespace is gone", PATIENCE, || async {
        ensure!(
            kubectl.find(&["namespace", &gone.namespace]).await?.is_none(),
            "it is still there"
        );
        let left: Vec<c7n_api::Environment> = stand.cli.json(&["env", "list", "-p", &stand.project]).await?;
        ensure!(left.len() == 1, "{} environments are listed", left.len());
        Ok(())
    })
    .await
    .map_err(|error| stand.explain(error))?;
    kept.get("configmap", "a").await?;
    Ok(())
}

#[tokio::test]
async fn a_cluster_whose_agent_is_gone_for_good_can_be_forgotten() -> Result<()> {
    let mut stand = Stand::with_cluster("forgotten").await?;
    let environment = stand.environment("staging").await?;
    environment.copy.write("a.yaml", &config_map("a", "k", "1"))?;
    let commit = environment.copy.publish("One").await?;
    stand.converges("staging", &commit).await?;
    let project = stand.project.clone();
    let forget_environment = ["env", "delete", "-p", &project, "staging", "--forget", "--yes"];
    let refused = stand.cli.output(&forget_environment).await?;
    ensure!(!refused.status.success(), "its agent is connected");
    // What stays is known by what the agent has told of it.
    eventually("the object is told", PATIENCE, || async {
        let told = stand.objects("staging").await?;
        ensure!(
            told.iter().filter(|it| it.file.is_some()).count() == 1,
            "{told:?}"
        );
        Ok(())
    })
    .await
    .map_err(|error| stand.explain(error))?;

    stand.agents[0].kill().await?;
    stand.cluster_becomes("east", ClusterState::Disconnected).await?;
    let forgotten: Forgotten = stand.cli.json(&forget_environment).await?;
    let forget_cluster = ["cluster", "delete", "-p", &project, "east", "--forget", "--yes"];
    stand.cli.run(&forget_cluster).await?;

    ensure!(
        forgotten.stays.len() == 1
            && forgotten.stays[0].namespace == environment.namespace
            && forgotten.stays[0].objects == 1,
        "it says what stays: {forgotten:?}"
    );
    let left: Vec<c7n_api::Cluster> = stand.cli.json(&["cluster", "list", "-p", &project]).await?;
    ensure!(left.is_empty(), "{left:?}");
    environment.get("configmap", "a").await?;
    Ok(())
}
