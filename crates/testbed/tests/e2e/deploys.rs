//! What is published is deployed by one command, and every step is a commit that leaves people's files alone.

use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use c7n_testbed::programs::{self, Program};
use c7n_testbed::stack::charts::{ChartFolder, write};
use c7n_testbed::stack::eventually;
use serde_json::Value;

use crate::stand::{PATIENCE, Stand, StandEnvironment};

/// Longer than anything here takes on a busy machine.
const WAIT: &[&str] = &["--timeout", "180"];

/// The application `web` in versions 1.0.0 and 1.1.0, of which the second has another default.
async fn publish(stand: &Stand) -> Result<()> {
    stand
        .cli
        .run(&["app", "create", "-p", &stand.project, "web"])
        .await?;
    let first = ChartFolder::fixture("web")?;
    let values = "replicas: 1\nimage: c7n.local/sample:1\nmessage: bonjour\nport: 8080\npassword: \"\"\ntolerations:\n  - operator: Exists\n";
    let second = first.clone().at_version("1.1.0")?.with("values.yaml", values);
    for chart in [first, second] {
        let file = write(&chart.pack()?, stand.folder())?;
        let file = file.to_string_lossy();
        stand
            .cli
            .run(&["app", "publish", "-p", &stand.project, &file])
            .await?;
    }
    Ok(())
}

async fn command(stand: &Stand, arguments: &[&str]) -> Result<Output> {
    let place: &[&str] = &["-p", &stand.project, "--env", "staging"];
    stand.cli.output(&[arguments, place, WAIT].concat()).await
}

/// It has to work.
async fn carry_out(stand: &Stand, arguments: &[&str]) -> Result<()> {
    let output = command(stand, arguments).await?;
    let words = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(());
    }
    Err(stand.explain(anyhow::anyhow!("c7n {arguments:?}: {} {words}", output.status)))
}

async fn replicas(environment: &StandEnvironment, name: &str) -> Result<i64> {
    let deployment = environment.get("deployment", name).await?;
    deployment["spec"]["replicas"].as_i64().context("replicas")
}

/// The file as the platform's repository has it now.
async fn file(environment: &StandEnvironment, path: &str) -> Result<String> {
    environment
        .copy
        .git(&["fetch", "--quiet", "origin", "main"])
        .await?;
    environment
        .copy
        .git(&["show", &format!("FETCH_HEAD:{path}")])
        .await
}

async fn helm(folder: &Path, arguments: &[&str], input: &str) -> Result<String> {
    use tokio::io::AsyncWriteExt;
    let mut child = tokio::process::Command::new(programs::ensure(Program::Helm).await?)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("its input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "helm {arguments:?}: {words}");
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn plain_helm_reads_the_published_charts() -> Result<()> {
    let stand = Stand::empty("repo").await?;
    publish(&stand).await?;
    let token = stand
        .cli
        .run(&["app", "token", "create", "-p", &stand.project, "helm"])
        .await?;
    let url = format!("{}/charts/{}", stand.server.first_run().url, stand.project);
    let folder = stand.folder().join("helm");
    std::fs::create_dir_all(&folder)?;

    let add = [
        "repo",
        "add",
        "shop",
        &url,
        "--username",
        "any",
        "--password-stdin",
    ];
    helm(&folder, &add, token.trim()).await?;
    let found: Value = serde_json::from_str(
        &helm(
            &folder,
            &["search", "repo", "shop/web", "--versions", "-o", "json"],
            "",
        )
        .await?,
    )?;
    helm(&folder, &["pull", "shop/web", "--version", "1.0.0"], "").await?;

    let versions: Vec<&str> = found
        .as_array()
        .context("a list")?
        .iter()
        .filter_map(|chart| chart["version"].as_str())
        .collect();
    assert_eq!(versions, ["1.1.0", "1.0.0"]);
    assert_eq!(
        std::fs::read(folder.join("web-1.0.0.tgz"))?,
        ChartFolder::fixture("web")?.pack()?.archive
    );
    let refused = helm(
        &folder,
        &[
            "repo",
            "add",
            "other",
            &url,
            "--username",
            "any",
            "--password-stdin",
        ],
        "wrong",
    )
    .await;
    ensure!(refused.is_err(), "a wrong token was taken");
    Ok(())
}

#[tokio::test]
async fn an_application_is_deployed_upgraded_rolled_back_stopped_started_and_deleted() -> Result<()> {
    let stand = Stand::with_cluster("deploys").await?;
    let environment = stand.environment("staging").await?;
    publish(&stand).await?;

    carry_out(
        &stand,
        &["deploy", "web", "1.0.0", "--set", "replicas=2,message=mine"],
    )
    .await?;
    assert_eq!(replicas(&environment, "web").await?, 2);
    let written = file(&environment, "releases/web.yaml").await?;
    ensure!(written.contains("chartVersion: 1.0.0"), "{written}");

    // The default of `message` is another now, and the instance has set it.
    let asked = command(&stand, &["upgrade", "web", "1.1.0"]).await?;
    let words = String::from_utf8_lossy(&asked.stderr);
    assert_eq!(asked.status.code(), Some(4), "{words}");
    ensure!(words.contains("message") && words.contains("bonjour"), "{words}");
    assert_eq!(file(&environment, "releases/web.yaml").await?, written);
    carry_out(
        &stand,
        &[
            "upgrade",
            "web",
            "1.1.0",
            "--accept-conflicts",
            "--set",
            "replicas=3",
        ],
    )
    .await?;
    assert_eq!(replicas(&environment, "web").await?, 3);

    carry_out(&stand, &["rollback", "web"]).await?;
    assert_eq!(replicas(&environment, "web").await?, 2);
    assert_eq!(file(&environment, "releases/web.yaml").await?, written);

    // The list says what it is made of, and that version stays.
    let listed = stand
        .cli
        .run(&[
            "instance",
            "list",
            "-p",
            &stand.project,
            "-e",
            "staging",
            "-o",
            "json",
        ])
        .await?;
    let listed: Value = serde_json::from_str(&listed)?;
    assert_eq!(listed["instances"][0]["app"], "web", "{listed}");
    let used = [
        "app",
        "delete-version",
        "-p",
        &stand.project,
        "web",
        "1.0.0",
        "--yes",
    ];
    let refused = stand.cli.output(&used).await?;
    let words = String::from_utf8_lossy(&refused.stderr);
    ensure!(
        !refused.status.success() && words.contains("used by staging/web"),
        "{words}"
    );

    carry_out(&stand, &["stop", "web"]).await?;
    assert_eq!(replicas(&environment, "web").await?, 0);
    carry_out(&stand, &["start", "web"]).await?;
    assert_eq!(replicas(&environment, "web").await?, 2);
    assert_eq!(file(&environment, "releases/web.yaml").await?, written);

    carry_out(&stand, &["delete", "web", "--yes"]).await?;
    ensure!(
        environment.find("deployment", "web").await?.is_none(),
        "it is still there"
    );
    eventually("the version is used by nobody", PATIENCE, || async {
        stand.cli.run(&used).await.map(drop)
    })
    .await?;
    let history = stand
        .cli
        .run(&["env", "history", "-p", &stand.project, "staging"])
        .await?;
    for subject in [
        "Deploy web",
        "Upgrade web from 1.0.0 to 1.1.0",
        "Roll back web",
        "Stop web",
        "Start web",
        "Delete web",
    ] {
        ensure!(history.contains(subject), "{subject} is missing in {history}");
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_a_person_wrote_keeps_its_comments_through_all_of_it() -> Result<()> {
    let stand = Stand::with_cluster("handmade").await?;
    let environment = stand.environment("staging").await?;
    publish(&stand).await?;
    let url = format!("{}/charts/{}", stand.server.first_run().url, stand.project);
    let text = format!(
        "# Ask ann before you touch this.\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: motd}} # flow\ndata: {{text: hi}}\n---\n\
         apiVersion: choerodon.io/v1alpha1\nkind: C7NHelmRelease\nmetadata:\n  name: web\nspec:\n  repoUrl: {url}\n  \
         chartName: web\n  chartVersion: 1.0.0   # pinned\n  values: |\n    # one is enough\n    replicas: 1\n\n# the end\n"
    );
    environment.copy.write("front.yaml", &text)?;
    let commit = environment.copy.publish("By hand").await?;
    stand.converges("staging", &commit).await?;
    eventually("web runs", PATIENCE, || replicas(&environment, "web")).await?;

    carry_out(&stand, &["upgrade", "web", "1.1.0"]).await?;
    carry_out(&stand, &["stop", "web"]).await?;
    carry_out(&stand, &["start", "web"]).await?;

    let now = file(&environment, "front.yaml").await?;
    assert_eq!(
        now.trim_end(),
        text.replace("1.0.0   # pinned", "1.1.0   # pinned").trim_end()
    );
    carry_out(&stand, &["delete", "web", "--yes"]).await?;
    let left = file(&environment, "front.yaml").await?;
    ensure!(
        left.contains("# Ask ann") && !left.contains("C7NHelmRelease"),
        "{left}"
    );
    environment.get("configmap", "motd").await?;
    Ok(())
}
