//! What hands do to objects that Helm made: put back, or told; what autoscalers own is theirs.

use anyhow::{Result, ensure};
use c7n_testbed::stack::eventually;

use super::{Scene, Wish};
use crate::stand::PATIENCE;

async fn message_becomes(scene: &Scene, wanted: &str) -> Result<()> {
    eventually(&format!("the message is {wanted}"), PATIENCE, || async {
        let found = scene.environment.get("configmap", "web").await?["data"]["message"].clone();
        ensure!(found == wanted, "it is {found}");
        Ok(())
    })
    .await
    .map_err(|error| scene.stand.explain(error))
}

#[tokio::test]
async fn changed_and_deleted_objects_are_put_back_without_a_revision() -> Result<()> {
    let scene = Scene::new("mend").await?;
    scene
        .push(
            &[&Wish::new("web", "web", "1.0.0").values("message: from-git")],
            "Install",
        )
        .await?;
    scene.deployed("web", 1).await?;
    let operations = scene.operations()?;

    scene
        .kubectl(&[
            "patch",
            "configmap",
            "web",
            "-p",
            r#"{"data":{"message":"by-hand","extra":"mine"}}"#,
        ])
        .await?;
    message_becomes(&scene, "from-git").await?;
    let map = scene.environment.get("configmap", "web").await?;
    assert_eq!(map["data"]["extra"], "mine", "what Helm does not own stays");
    assert_eq!(map["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");

    scene.kubectl(&["delete", "service", "web"]).await?;
    let service = scene
        .environment
        .appears("service", "web")
        .await
        .map_err(|error| scene.stand.explain(error))?;
    assert_eq!(
        service["metadata"]["annotations"]["meta.helm.sh/release-name"],
        "web"
    );

    // What stands on somebody's standing order is left: an autoscaler's size.
    scene.scale_as("keda", "web", 2).await?;
    scene.kubectl(&["delete", "configmap", "web"]).await?;
    scene
        .environment
        .appears("configmap", "web")
        .await
        .map_err(|error| scene.stand.explain(error))?;
    assert_eq!(
        scene.environment.get("deployment", "web").await?["spec"]["replicas"],
        2
    );

    assert_eq!(scene.operations()?, operations, "a repair is no Helm operation");
    scene.deployed("web", 1).await?;
    scene
        .helm(&[
            "upgrade",
            "web",
            "web",
            "--repo",
            &scene.charts.url(),
            "--version",
            "1.0.0",
            "--dry-run=server",
        ])
        .await?;
    Ok(())
}

#[tokio::test]
async fn drift_is_only_told_where_that_is_asked_for() -> Result<()> {
    let scene = Scene::new("tell").await?;
    scene
        .push(
            &[&Wish::new("web", "web", "1.0.0")
                .values("message: from-git")
                .with("drift: Report")],
            "Install",
        )
        .await?;
    scene.deployed("web", 1).await?;

    scene
        .kubectl(&[
            "patch",
            "configmap",
            "web",
            "-p",
            r#"{"data":{"message":"by-hand"}}"#,
        ])
        .await?;

    let status = scene
        .becomes("web", "told as drifted", |status| {
            status["conditions"].to_string().contains(".data.message")
        })
        .await?;
    let told = status["conditions"].to_string();
    assert!(
        told.contains("ConfigMap/web") && told.contains("kubectl"),
        "{told}"
    );
    assert!(!told.contains("by-hand"), "no values: {told}");
    assert_eq!(
        scene.environment.get("configmap", "web").await?["data"]["message"],
        "by-hand"
    );
    Ok(())
}
