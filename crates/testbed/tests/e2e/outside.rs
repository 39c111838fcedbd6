//! Applications whose charts lie elsewhere: in a repository over HTTP, and in a registry with a password.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use c7n_testbed::stack::charts::{ChartFolder, Packed};
use c7n_testbed::stack::{Authority, ChartServer, Registry, TlsEnd};
use serde_json::Value;

use crate::stand::{Stand, TestCluster};

fn charts() -> Result<[Packed; 2]> {
    let web = ChartFolder::fixture("web")?;
    Ok([web.clone().pack()?, web.at_version("1.1.0")?.pack()?])
}

async fn versions(stand: &Stand, app: &str) -> Result<Vec<String>> {
    let found: Vec<Value> = stand
        .cli
        .json(&["app", "versions", "-p", &stand.project, app])
        .await?;
    found
        .iter()
        .map(|version| Ok(version["version"].as_str().context("a version")?.to_owned()))
        .collect()
}

async fn deploy(stand: &Stand, arguments: &[&str]) -> Result<Output> {
    let common = ["-p", &stand.project, "--env", "staging", "--timeout", "180"];
    stand
        .cli
        .output(&[&["deploy"], arguments, &common].concat())
        .await
}

fn went_well(stand: &Stand, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(stand.explain(anyhow::anyhow!("c7n deploy: {} {words}", output.status)))
}

#[tokio::test]
async fn an_application_of_another_repository_is_deployed_from_there() -> Result<()> {
    let stand = Stand::with_cluster("outside").await?;
    let environment = stand.environment("staging").await?;
    let server = ChartServer::start().await?;
    server.put_charts(&charts()?);
    let url = server.url();
    let create = ["app", "create", "-p", &stand.project, "front", "--repo", &url];
    stand
        .cli
        .run(&[create.as_slice(), &["--chart", "web"]].concat())
        .await?;

    assert_eq!(versions(&stand, "front").await?, ["1.1.0", "1.0.0"]);
    let output = deploy(
        &stand,
        &["front", "^1.0", "--name", "front", "--set", "replicas=2"],
    )
    .await?;
    went_well(&stand, &output)?;

    let release = environment.get("c7nhelmrelease", "front").await?;
    assert_eq!(release["spec"]["repoUrl"], url);
    assert_eq!(release["status"]["chart"], "web-1.1.0");
    assert_eq!(
        environment.get("deployment", "front").await?["spec"]["replicas"],
        2
    );
    Ok(())
}

#[tokio::test]
async fn an_application_behind_an_authority_of_its_own_is_deployed_by_those_who_were_told_of_it() -> Result<()>
{
    let mut stand = Stand::empty("owned").await?;
    let authority = Authority::new("charts of our own")?;
    let file = stand.folder().join("ca.pem");
    std::fs::write(&file, &authority.pem)?;
    let file = file.to_string_lossy().into_owned();
    stand
        .join_as(
            "east",
            &TestCluster::A.kubeconfig()?,
            &["--ca-file", &file],
            None,
            &[],
        )
        .await?;
    let environment = stand.environment("staging").await?;
    let server = ChartServer::start().await?;
    server.put_charts(&charts()?);
    let end = TlsEnd::start(&authority, server.host().parse()?).await?;
    let url = format!("https://{}", end.host());
    let project = stand.project.clone();
    let create = async |name: &str, more: &[&str]| {
        let fixed = [
            "app", "create", "-p", &project, name, "--repo", &url, "--chart", "web",
        ];
        stand.cli.output(&[&fixed, more].concat()).await
    };

    // Without a word of it neither is anything listed, nor deployed.
    ensure!(create("stranger", &[]).await?.status.success());
    for refused in [
        stand
            .cli
            .output(&["app", "versions", "-p", &project, "stranger"])
            .await?,
        deploy(&stand, &["stranger", "1.0.0"]).await?,
    ] {
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(!refused.status.success(), "{words}");
        for wanted in [
            end.host().as_str(),
            "nobody here vouches for",
            "c7n app create --ca-file",
        ] {
            ensure!(words.contains(wanted), "{words}");
        }
    }

    let made = create("front", &["--ca-file", &file]).await?;
    let words = String::from_utf8_lossy(&made.stderr).into_owned();
    ensure!(made.status.success() && words.contains("ca.bundle"), "{words}");
    assert_eq!(versions(&stand, "front").await?, ["1.1.0", "1.0.0"]);
    let output = deploy(&stand, &["front", "1.1.0", "--name", "front"]).await?;
    went_well(&stand, &output)?;
    let release = environment.get("c7nhelmrelease", "front").await?;
    assert_eq!(release["status"]["chart"], "web-1.1.0");
    Ok(())
}

#[tokio::test]
async fn an_application_of_a_registry_with_a_password_is_deployed_from_there() -> Result<()> {
    let stand = Stand::with_cluster("locked").await?;
    let environment = stand.environment("staging").await?;
    let registry = Registry::start(&stand.folder().join("registry")).await?;
    registry.push(&charts()?).await?;
    let url = registry.charts_url();
    let file = stand.folder().join("password");
    let create = async |name: &str, password: &str| {
        std::fs::write(&file, password)?;
        let file = file.to_string_lossy();
        let source = ["--repo", &url, "--chart", "web", "--username", Registry::USERNAME];
        stand
            .cli
            .output(
                &[
                    &["app", "create", "-p", &stand.project, name],
                    source.as_slice(),
                    &["--password-file", &file],
                ]
                .concat(),
            )
            .await
    };
    let output = create("back", Registry::PASSWORD).await?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.success() && told.contains("--repo-secret"),
        "{told}"
    );
    create("wrong", "hunter2-battery").await?;

    assert_eq!(versions(&stand, "back").await?, ["1.1.0", "1.0.0"]);
    let refused = stand
        .cli
        .output(&["app", "versions", "-p", &stand.project, "wrong"])
        .await?;
    let words = String::from_utf8_lossy(&refused.stderr);
    ensure!(
        !refused.status.success() && words.contains("refuses the credentials") && !words.contains("hunter2"),
        "{words}"
    );
    let shown = stand
        .cli
        .run(&["app", "show", "-p", &stand.project, "back", "-o", "json"])
        .await?;
    ensure!(!shown.contains(Registry::PASSWORD), "{shown}");

    // The platform's password stays with the platform: the agent needs one of its own, and it is said so.
    let output = deploy(&stand, &["back", "1.0.0", "--name", "back"]).await?;
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    ensure!(words.contains("repoSecret"), "{words}");
    let (username, password) = (Registry::USERNAME.as_bytes(), Registry::PASSWORD.as_bytes());
    environment
        .put_secret("registry", &[("username", username), ("password", password)])
        .await?;
    let bad = deploy(&stand, &["back", "1.0.0", "--repo-secret", "No Name"]).await?;
    let words = String::from_utf8_lossy(&bad.stderr);
    ensure!(!bad.status.success() && !words.contains("No Name"), "{words}");
    let output = deploy(
        &stand,
        &["back", "1.0.0", "--name", "back", "--repo-secret", "registry"],
    )
    .await?;
    went_well(&stand, &output)?;
    let release = environment.get("c7nhelmrelease", "back").await?;
    assert_eq!(release["spec"]["repoSecret"], "registry");
    environment.get("deployment", "back").await?;

    // A new instance, and an upgrade that keeps the Secret.
    let output = deploy(
        &stand,
        &["back", "1.0.0", "--name", "second", "--repo-secret", "registry"],
    )
    .await?;
    went_well(&stand, &output)?;
    let upgrade = [
        "upgrade",
        "second",
        "1.1.0",
        "-p",
        &stand.project,
        "--env",
        "staging",
    ];
    let output = stand.cli.output(&upgrade).await?;
    went_well(&stand, &output)?;
    let release = environment.get("c7nhelmrelease", "second").await?;
    assert_eq!(release["spec"]["repoSecret"], "registry");
    assert_eq!(release["status"]["chart"], "web-1.1.0");
    Ok(())
}
