//! Charts from an OCI registry that asks who one is: the real `helm` pushed them there.

use anyhow::{Result, ensure};
use c7n_testbed::stack::Registry;
use c7n_testbed::stack::charts::ChartFolder;

use super::{Scene, Wish};

const WRONG: &str = "hunter2-battery";

#[tokio::test]
async fn a_chart_of_a_registry_with_a_password_is_installed_once_the_password_is_right() -> Result<()> {
    let scene = Scene::new("oci").await?;
    let registry = Registry::start(&scene.stand.folder().join("registry")).await?;
    let web = ChartFolder::fixture("web")?;
    let charts = [web.clone().pack()?, web.at_version("1.1.0")?.pack()?];
    registry.push(&charts).await?;
    let username = Registry::USERNAME.as_bytes();
    scene
        .put_secret(
            "registry",
            &[("username", username), ("password", WRONG.as_bytes())],
        )
        .await?;
    let bare = Wish::new("bare", "web", "1.0.0").at(&registry.charts_url());
    let wish = Wish::new("web", "web", "1.0.0")
        .at(&registry.charts_url())
        .with("repoSecret: registry");
    scene
        .push(&[&wish, &bare], "From a registry, without the right password")
        .await?;

    for (name, words) in [
        ("web", "refuses the credentials (401); check the Secret"),
        ("bare", "asks for credentials; put them into a Secret"),
    ] {
        let status = scene.failed(name).await?;
        let told = status["lastError"].as_str().unwrap_or_default();
        ensure!(told.contains(words) && told.contains(&registry.host()), "{told}");
        let all = status.to_string();
        ensure!(all.contains("FetchFailed") && !all.contains(WRONG), "{all}");
    }
    ensure!(scene.listed().await?.is_empty(), "something was installed");

    // Not the file was wrong but the Secret; a person need not wait for the next attempt.
    let right = Registry::PASSWORD.as_bytes();
    scene
        .put_secret("registry", &[("username", username), ("password", right)])
        .await?;
    let retry = [
        "env",
        "retry-release",
        "-p",
        &scene.stand.project,
        "staging",
        "web",
    ];
    scene.stand.cli.run(&retry).await?;
    let status = scene.deployed("web", 1).await?;
    assert_eq!(status["chartDigest"], format!("sha256:{}", charts[0].digest()));
    scene.environment.get("deployment", "web").await?;

    let next = Wish::new("web", "web", "1.1.0")
        .at(&registry.charts_url())
        .with("repoSecret: registry");
    scene.push(&[&next], "Upgrade").await?;
    let status = scene.deployed("web", 2).await?;
    assert_eq!(status["chartDigest"], format!("sha256:{}", charts[1].digest()));
    assert_eq!(scene.listed().await?, ["web"]);
    Ok(())
}
