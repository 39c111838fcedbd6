//! An agent with the rights of the chart's mode `namespace`: it serves the namespaces it was given, and says what is missing
//! for others.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use c7n_testbed::stack::{Kubectl, eventually};
use serde_json::{Value, json};

use crate::charts::{chart, helm, text};
use crate::stand::{PATIENCE, Stand, TestCluster, config_map};

const NAME: &str = "choerodon-cluster-agent";

/// What the chart gives the agent, in the cluster.
struct Rights {
    kubectl: Kubectl,
    /// Where the agent would run.
    home: String,
    objects: PathBuf,
}

impl Rights {
    /// Rights in one namespace, which is there already, as the README asks.
    async fn grant(stand: &Stand, namespace: &str) -> Result<Self> {
        let kubectl = TestCluster::A.kubectl()?;
        let home = format!("agent-{}", stand.project);
        for name in [home.as_str(), namespace] {
            kubectl.run(&["create", "namespace", name]).await?;
        }
        let folder = chart(NAME);
        let folder = folder.to_str().context("a plain path")?;
        let values = format!("{folder}/ci/joined-values.yaml");
        let rendered = helm(&[
            "template",
            NAME,
            folder,
            "--namespace",
            &home,
            "--values",
            &values,
            "--set=rbac.mode=namespace",
            &format!("--set=rbac.namespaces={{{namespace}}}"),
            "--show-only=templates/rbac.yaml",
            "--show-only=templates/serviceaccount.yaml",
        ])
        .await?;
        ensure!(rendered.status.success(), "{}", text(&rendered.stderr));
        let objects = stand.folder().join("rights.yaml");
        std::fs::write(&objects, &rendered.stdout)?;
        // Whoever installs the chart brings the definition, which the agent may not.
        kubectl
            .run(&[
                "apply",
                "--server-side",
                "--force-conflicts",
                "-f",
                &format!("{folder}/crds"),
            ])
            .await?;
        kubectl.apply(&text(&rendered.stdout)).await?;
        Ok(Self {
            kubectl,
            home,
            objects,
        })
    }

    /// The same cluster as the agent's service account sees it.
    async fn kubeconfig(&self, stand: &Stand) -> Result<PathBuf> {
        let token = self
            .kubectl
            .run(&["-n", &self.home, "create", "token", NAME, "--duration=1h"])
            .await?;
        let mut config: Value = serde_json::from_str(
            &self
                .kubectl
                .run(&["config", "view", "--raw", "--output=json"])
                .await?,
        )?;
        for user in config["users"].as_array_mut().context("it has users")? {
            user["user"] = json!({ "token": token.trim() });
        }
        let file = stand.folder().join("service-account.json");
        std::fs::write(&file, config.to_string())?;
        Ok(file)
    }

    async fn take_back(self, namespaces: &[&str]) -> Result<()> {
        let objects = self.objects.display().to_string();
        self.kubectl
            .run(&["delete", "--wait=false", "-f", &objects])
            .await?;
        let all = [
            &["delete", "namespace", "--wait=false", &self.home][..],
            namespaces,
        ]
        .concat();
        self.kubectl.run(&all).await.map(drop)
    }
}

#[tokio::test]
async fn an_agent_of_one_namespace_serves_it_and_says_what_is_missing_for_another() -> Result<()> {
    let mut stand = Stand::empty("single").await?;
    let namespace = format!("{}-staging", stand.project);
    let rights = Rights::grant(&stand, &namespace).await?;
    let kubeconfig = rights.kubeconfig(&stand).await?;
    let (lease, secret) = (
        format!("--lease={}/{NAME}", rights.home),
        format!("--credential-secret={}/{NAME}-credential", rights.home),
    );
    stand
        .join_as("east", &kubeconfig, &[&lease, &secret], None, &[])
        .await?;

    // A push is applied, another changes it, a deleted file deletes.
    let environment = stand.environment("staging").await?;
    ensure!(environment.namespace == namespace, "{}", environment.namespace);
    for name in ["a", "b", "c"] {
        environment
            .copy
            .write(&format!("{name}.yaml"), &config_map(name, "k", "1"))?;
    }
    let commit = environment.copy.publish("First").await?;
    stand.converges("staging", &commit).await?;
    environment.copy.write("a.yaml", &config_map("a", "k", "2"))?;
    environment.copy.remove("b.yaml")?;
    let commit = environment.copy.publish("Second").await?;
    stand.converges("staging", &commit).await?;
    ensure!(environment.get("configmap", "a").await?["data"]["k"] == "2");
    environment.disappears("configmap", "b").await?;

    // What somebody edits is put back, which a watch of this namespace alone has told.
    environment
        .kubectl
        .run(&[
            "-n",
            &namespace,
            "patch",
            "configmap",
            "a",
            "-p",
            r#"{"data":{"k":"by-hand"}}"#,
        ])
        .await?;
    eventually("the edit is put back", PATIENCE, || async {
        let live = environment.get("configmap", "a").await?;
        ensure!(live["data"]["k"] == "2", "it is {}", live["data"]);
        Ok(())
    })
    .await
    .map_err(|error| stand.explain(error))?;
    eventually("the objects are told", PATIENCE, || async {
        let told = stand.objects("staging").await?;
        ensure!(
            told.iter().filter(|it| it.file.is_some()).count() == 2,
            "{told:?}"
        );
        Ok(())
    })
    .await
    .map_err(|error| stand.explain(error))?;

    // A namespace that was not given, whether it is there or not.
    let other = format!("{}-other", stand.project);
    rights.kubectl.run(&["create", "namespace", &other]).await?;
    stand
        .cli
        .run(&[
            "env",
            "create",
            "-p",
            &stand.project,
            "other",
            "--cluster",
            "east",
        ])
        .await?;
    let told = eventually("the missing right is told", PATIENCE, || async {
        let seen = stand.show("other").await?;
        match seen.message {
            Some(message) => Ok(message),
            None => bail!("{seen:?}"),
        }
    })
    .await
    .map_err(|error| stand.explain(error))?;
    ensure!(
        told.contains(&other) && told.contains("rbac.namespaces") && told.contains("no right to look at"),
        "{told}"
    );
    // It does not hold the first one up.
    environment.copy.write("a.yaml", &config_map("a", "k", "3"))?;
    let commit = environment.copy.publish("Third").await?;
    stand.converges("staging", &commit).await?;

    // The environment leaves; the namespace, which it did not make, stays.
    stand
        .cli
        .run(&["env", "delete", "-p", &stand.project, "staging", "--yes"])
        .await?;
    environment.disappears("configmap", "a").await?;
    eventually("the namespace is given back", PATIENCE, || async {
        let found = rights
            .kubectl
            .find(&["namespace", &namespace])
            .await?
            .context("it is gone")?;
        let labels = &found["metadata"]["labels"];
        ensure!(labels["choerodon.io/env"].is_null(), "{labels}");
        Ok(())
    })
    .await
    .map_err(|error| stand.explain(error))?;
    rights.take_back(&[&namespace, &other]).await
}
