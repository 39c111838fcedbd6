//! `c7n cluster doctor`: what a person reads before a cluster joins.

use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use c7n_testbed::programs::{self, Program};
use serde_json::Value;

use crate::stand::{Stand, TestCluster};

/// The command line with kubectl and helm on PATH, as a person has them.
async fn doctor(stand: &Stand, kubeconfig: &Path, more: &[&str]) -> Result<Output> {
    let mut path = Vec::new();
    for program in [Program::Kubectl, Program::Helm] {
        let program = programs::ensure(program).await?;
        path.push(program.parent().context("a program lies in a folder")?.to_owned());
    }
    path.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let arguments = [
        &["cluster", "doctor", "-p", stand.project.as_str(), "east"][..],
        more,
    ]
    .concat();
    Ok(stand
        .cli
        .command(&arguments)
        .env("PATH", std::env::join_paths(path)?)
        .env("KUBECONFIG", kubeconfig)
        .env_remove("HTTPS_PROXY")
        .env_remove("https_proxy")
        .env_remove("HTTP_PROXY")
        .env_remove("http_proxy")
        .env_remove("ALL_PROXY")
        .output()
        .await?)
}

fn level(findings: &Value, check: &str) -> Option<String> {
    let found = findings
        .as_array()?
        .iter()
        .find(|finding| finding["check"] == check)?;
    Some(found["level"].as_str()?.to_owned())
}

#[tokio::test]
async fn a_pod_that_lives_for_seconds_tells_whether_the_platform_is_reached_from_inside() -> Result<()> {
    let Ok(image) = std::env::var("C7N_TEST_AGENT_IMAGE") else {
        eprintln!("NOT RUN: asking from inside needs a real node (C7N_TEST_AGENT_IMAGE is not set)");
        return Ok(());
    };
    let mut stand = Stand::empty("inside").await?;
    stand
        .cli
        .run(&["cluster", "create", "-p", &stand.project, "east"])
        .await?;
    let kubeconfig = TestCluster::A.kubeconfig()?;
    let inside = ["--in-cluster", "--host-network", "--image", &image, "-o", "json"];

    let found = doctor(&stand, &kubeconfig, &inside).await?;
    let findings: Value = serde_json::from_slice(&found.stdout)
        .with_context(|| String::from_utf8_lossy(&found.stderr).into_owned())?;
    ensure!(
        level(&findings, "from inside").as_deref() == Some("OK"),
        "{findings:#}"
    );

    // Out of the pod's own network there is no way to this machine's loopback.
    let found = doctor(
        &stand,
        &kubeconfig,
        &["--in-cluster", "--image", &image, "-o", "json"],
    )
    .await?;
    let findings: Value = serde_json::from_slice(&found.stdout)?;
    ensure!(
        level(&findings, "from inside").as_deref() == Some("FAIL"),
        "{findings:#}"
    );
    ensure!(found.status.code() == Some(1));
    stand.server.stop().await
}

#[tokio::test]
async fn the_doctor_finds_a_cluster_fit_and_says_what_is_missing_to_somebody_without_rights() -> Result<()> {
    let stand = Stand::empty("doctor").await?;
    stand
        .cli
        .run(&["cluster", "create", "-p", &stand.project, "east"])
        .await?;
    let kubeconfig = TestCluster::B.kubeconfig()?;

    let found = doctor(&stand, &kubeconfig, &["-o", "json"]).await?;
    let findings: Value = serde_json::from_slice(&found.stdout)
        .with_context(|| String::from_utf8_lossy(&found.stderr).into_owned())?;
    for check in [
        "helm", "platform", "proxy", "cluster", "clock", "rights", "record",
    ] {
        ensure!(
            level(&findings, check).as_deref() == Some("OK"),
            "{check}: {findings:#}"
        );
    }
    // The platform of a test is on loopback, and that is worth a word.
    ensure!(
        level(&findings, "address").as_deref() == Some("WARN"),
        "{findings:#}"
    );

    // The same person, but the API server sees somebody else.
    let mut config: Value = serde_json::from_str(
        &TestCluster::B
            .kubectl()?
            .run(&["config", "view", "--raw", "--output=json"])
            .await?,
    )?;
    config["users"][0]["user"]["as"] = "somebody".into();
    let poor = stand.folder().join("poor.json");
    std::fs::write(&poor, config.to_string())?;
    let found = doctor(&stand, &poor, &[]).await?;
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    ensure!(found.status.code() == Some(1), "{text}");
    ensure!(text.contains("FAIL  rights"), "{text}");
    ensure!(
        text.contains("create clusterroles.rbac.authorization.k8s.io (whole cluster)"),
        "{text}"
    );
    ensure!(text.contains("ask an administrator"), "{text}");

    // A cluster that is not there, and a shell without kubectl.
    let nowhere = stand.folder().join("nowhere.json");
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1".into();
    std::fs::write(&nowhere, config.to_string())?;
    let found = doctor(&stand, &nowhere, &[]).await?;
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    ensure!(
        text.contains("FAIL  cluster") && text.contains("kubectl get nodes"),
        "{text}"
    );
    let bare = stand
        .cli
        .command(&["cluster", "doctor", "-p", &stand.project, "east"])
        .env("PATH", "/nowhere")
        .output()
        .await?;
    let text = String::from_utf8_lossy(&bare.stdout).into_owned();
    ensure!(
        text.contains("`kubectl` cannot be run") && text.contains("`helm` is not on PATH"),
        "{text}"
    );
    Ok(())
}
