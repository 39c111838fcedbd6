//! What is changed by hand is put back; what others own is left to them.

use anyhow::{Result, ensure};
use c7n_api::Drift;
use c7n_testbed::stack::eventually;

use crate::stand::{PATIENCE, Stand, config_map};

#[tokio::test]
async fn edits_and_deletions_by_hand_are_repaired() -> Result<()> {
    let stand = Stand::with_cluster("drift").await?;
    let environment = stand.environment("staging").await?;
    environment
        .copy
        .write("a.yaml", &config_map("a", "k", "from-git"))?;
    let commit = environment.copy.publish("One").await?;
    stand.converges("staging", &commit).await?;
    let namespace = environment.namespace.as_str();
    let uid = environment.get("configmap", "a").await?["metadata"]["uid"].clone();

    environment
        .kubectl
        .run(&[
            "-n",
            namespace,
            "patch",
            "configmap",
            "a",
            "-p",
            r#"{"data":{"k":"by-hand","extra":"mine"}}"#,
        ])
        .await?;
    eventually("the edit is put back", PATIENCE, || async {
        let live = environment.get("configmap", "a").await?;
        ensure!(live["data"]["k"] == "from-git", "it is {}", live["data"]);
        Ok(())
    })
    .await
    .map_err(|error| stand.explain(error))?;
    let live = environment.get("configmap", "a").await?;
    assert_eq!(live["data"]["extra"], "mine", "what Git does not own stays");
    assert_eq!(live["metadata"]["uid"], uid, "repaired, not made anew");
    eventually("the field and who changed it are told", PATIENCE, || async {
        let told: Vec<Drift> = stand
            .cli
            .json(&["env", "drift", "-p", &stand.project, "staging"])
            .await?;
        let [drift] = told.as_slice() else {
            anyhow::bail!("{told:?}")
        };
        let [field] = drift.fields.as_slice() else {
            anyhow::bail!("{told:?}")
        };
        ensure!(
            drift.object.name == "a" && drift.file.as_deref() == Some("a.yaml") && field.field == ".data.k",
            "{told:?}"
        );
        ensure!(
            field.manager.as_deref() == Some("kubectl-patch") && field.time_ms.is_some(),
            "{told:?}"
        );
        Ok(())
    })
    .await
    .map_err(|error| stand.explain(error))?;

    environment
        .kubectl
        .run(&["-n", namespace, "delete", "configmap", "a"])
        .await?;
    environment
        .appears("configmap", "a")
        .await
        .map_err(|error| stand.explain(error))?;
    Ok(())
}

#[tokio::test]
async fn nothing_changed_means_nothing_is_written() -> Result<()> {
    let stand = Stand::with_cluster("quiet").await?;
    let environment = stand.environment("staging").await?;
    environment.copy.write("a.yaml", &config_map("a", "k", "1"))?;
    environment.copy.write(
        "web.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  selector: {app: web}\n  ports:\n    - port: 80\n",
    )?;
    let first = environment.copy.publish("One").await?;
    stand.converges("staging", &first).await?;
    let before = versions(&environment).await?;

    environment.copy.write("README.md", "only words\n")?;
    let second = environment.copy.publish("Words").await?;
    stand.converges("staging", &second).await?;
    stand
        .cli
        .run(&["env", "sync", "-p", &stand.project, "staging"])
        .await?;

    assert_eq!(versions(&environment).await?, before);
    Ok(())
}

async fn versions(environment: &crate::stand::StandEnvironment) -> Result<Vec<serde_json::Value>> {
    let mut versions = Vec::new();
    for (kind, name) in [("configmap", "a"), ("service", "web")] {
        versions.push(environment.get(kind, name).await?["metadata"]["resourceVersion"].clone());
    }
    Ok(versions)
}
