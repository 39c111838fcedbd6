//! Commands to the agent: carried out once, answered once.

use anyhow::Result;
use c7n_testbed::stack::eventually;

use crate::stand::{PATIENCE, Stand};

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: c7n.local/sample:1
          imagePullPolicy: IfNotPresent
";

#[tokio::test]
async fn restart_scale_and_get_reach_the_cluster_and_are_answered() -> Result<()> {
    let stand = Stand::with_cluster("commands").await?;
    let environment = stand.environment("staging").await?;
    environment.copy.write("web.yaml", WEB)?;
    let commit = environment.copy.publish("Web").await?;
    stand.converges("staging", &commit).await?;
    let on = ["-p", stand.project.as_str(), "staging", "Deployment.apps", "web"];

    stand
        .cli
        .run(&[&["env", "scale"], on.as_slice(), &["--replicas", "2"]].concat())
        .await?;
    eventually("two replicas are wanted", PATIENCE, || async {
        let replicas = environment.get("deployment", "web").await?["spec"]["replicas"].clone();
        anyhow::ensure!(replicas == 2, "it is {replicas}");
        Ok(())
    })
    .await?;

    stand
        .cli
        .run(&[&["env", "restart"], on.as_slice()].concat())
        .await?;
    let live = environment.get("deployment", "web").await?;
    let stamp = &live["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"];
    assert!(stamp.is_string(), "{live}");

    let text = stand
        .cli
        .run(&[&["env", "get"], on.as_slice(), &["-o", "json"]].concat())
        .await?;
    let object: serde_json::Value = serde_json::from_str(&text)?;
    assert_eq!(object["metadata"]["uid"], live["metadata"]["uid"]);

    let missing = stand
        .cli
        .output(&[
            "env",
            "get",
            "-p",
            &stand.project,
            "staging",
            "ConfigMap",
            "nobody",
        ])
        .await?;
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("nobody"));
    Ok(())
}

#[tokio::test]
async fn the_values_of_a_secret_never_reach_the_platform() -> Result<()> {
    let stand = Stand::with_cluster("secret").await?;
    let environment = stand.environment("staging").await?;
    let canary = "canary-4f1d0c";
    environment.copy.write(
        "secret.yaml",
        &format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: keys\nstringData:\n  password: {canary}\n"
        ),
    )?;
    let commit = environment.copy.publish("A secret").await?;
    stand.converges("staging", &commit).await?;

    let text = stand
        .cli
        .run(&[
            "env",
            "get",
            "-p",
            &stand.project,
            "staging",
            "Secret",
            "keys",
            "-o",
            "json",
        ])
        .await?;
    assert!(!text.contains(canary) && !text.contains("Y2FuYXJ5"), "{text}");
    assert!(text.contains("password"), "its keys are shown: {text}");

    for log in [stand.server.log(), stand.agents[0].log().to_path_buf()] {
        let text = std::fs::read_to_string(&log)?;
        assert!(
            !text.contains(canary) && !text.contains("Y2FuYXJ5"),
            "{}",
            log.display()
        );
        assert!(
            !text.contains(&stand.server.first_run().token),
            "{} shows a token",
            log.display()
        );
    }
    let database = std::fs::read(stand.server.data().join("c7n.db")).unwrap_or_default();
    assert!(
        !database
            .windows(canary.len())
            .any(|window| window == canary.as_bytes()),
        "the database holds the value"
    );
    Ok(())
}
