//! Install, upgrade, roll back, other chart, adoption, uninstall: from commits, seen by plain `helm`.

use anyhow::{Result, ensure};
use c7n_testbed::stack::eventually;

use super::{Scene, Wish};
use crate::stand::PATIENCE;

#[tokio::test]
async fn a_release_follows_its_file_and_helm_sees_it() -> Result<()> {
    let scene = Scene::new("life").await?;
    let first = Wish::new("web", "web", "1.0.0").values("message: one");

    let commit = scene.push(&[&first], "Install").await?;
    let status = scene.deployed("web", 1).await?;
    assert_eq!(status["chart"], "web-1.0.0");
    assert_eq!(status["commit"], commit.as_str());
    assert!(
        status["chartDigest"]
            .as_str()
            .is_some_and(|it| it.starts_with("sha256:"))
    );
    assert_eq!(scene.listed().await?, ["web"]);
    let deployment = scene.environment.get("deployment", "web").await?;
    for place in ["/metadata/labels", "/spec/template/metadata/labels"] {
        let labels = deployment.pointer(place).unwrap_or_default();
        assert_eq!(labels["choerodon.io/release"], "web", "{place}: {labels}");
        assert_eq!(
            labels["choerodon.io/commit"],
            commit.as_str(),
            "{place}: {labels}"
        );
    }
    assert!(
        deployment["spec"]["selector"]["matchLabels"]
            .get("choerodon.io/release")
            .is_none()
    );

    scene
        .push(&[&first.clone().values("message: two")], "Other values")
        .await?;
    scene.deployed("web", 2).await?;
    assert_eq!(
        scene.environment.get("configmap", "web").await?["data"]["message"],
        "two"
    );

    let newer = Wish::new("web", "web", "2.0.0").values("message: two");
    scene.push(&[&newer], "Other version").await?;
    assert_eq!(scene.deployed("web", 3).await?["chart"], "web-2.0.0");

    // An earlier wish again: Helm's own rollback, with no chart fetched.
    scene.charts.received();
    scene.push(&[&first], "Back to the first").await?;
    let status = scene.deployed("web", 4).await?;
    assert_eq!(status["chart"], "web-1.0.0");
    assert!(
        scene.charts.received().is_empty(),
        "nothing is fetched for a rollback"
    );
    assert_eq!(
        scene.environment.get("configmap", "web").await?["data"]["message"],
        "one"
    );
    let history = scene.helm(&["history", "web", "-o", "json"]).await?;
    assert!(history.contains("Rollback to 1"), "{history}");

    // Words in the file, and a file beside it: no operation, no revision.
    let operations = scene.operations()?;
    assert_eq!(operations, 4);
    scene
        .push(
            &[&first.clone().values("# said otherwise\nmessage: \"one\"")],
            "Words",
        )
        .await?;
    scene.environment.copy.write("README.md", "words\n")?;
    let commit = scene.environment.copy.publish("More words").await?;
    scene.stand.converges("staging", &commit).await?;
    scene.deployed("web", 4).await?;
    assert_eq!(
        scene.operations()?,
        operations,
        "an unchanged release costs no Helm call"
    );

    scene.remove("web").await?;
    scene
        .environment
        .disappears("c7nhelmrelease", "web")
        .await
        .map_err(|error| scene.stand.explain(error))?;
    assert!(scene.listed().await?.is_empty());
    assert!(scene.environment.find("deployment", "web").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn history_is_kept_when_it_is_asked_for_and_the_release_comes_back() -> Result<()> {
    let scene = Scene::new("keep").await?;
    let wish = Wish::new("web", "web", "1.0.0").with("keepHistory: true");
    scene.push(&[&wish], "Install").await?;
    scene.deployed("web", 1).await?;

    scene.remove("web").await?;
    scene
        .environment
        .disappears("c7nhelmrelease", "web")
        .await
        .map_err(|error| scene.stand.explain(error))?;
    assert_eq!(scene.history("web").await?, [(1, "uninstalled".to_owned())]);
    assert!(scene.environment.find("deployment", "web").await?.is_none());

    scene.push(&[&wish], "Again").await?;
    scene.deployed("web", 2).await?;
    scene.environment.appears("deployment", "web").await?;
    Ok(())
}

#[tokio::test]
async fn another_chart_under_the_same_name_is_an_upgrade_that_says_so() -> Result<()> {
    let scene = Scene::new("cross").await?;
    scene.publish("tested")?;
    scene
        .push(&[&Wish::new("web", "web", "1.0.0")], "Install")
        .await?;
    scene.deployed("web", 1).await?;

    scene
        .push(&[&Wish::new("web", "tested", "1.0.0")], "Another chart")
        .await?;
    let status = scene.deployed("web", 2).await?;

    assert_eq!(status["chart"], "tested-1.0.0");
    let told = status["conditions"].to_string();
    assert!(
        told.contains("from the chart web-1.0.0 to another, tested-1.0.0"),
        "{told}"
    );
    assert!(
        scene.environment.find("deployment", "web").await?.is_none(),
        "what the old chart made is gone"
    );
    Ok(())
}

#[tokio::test]
async fn a_release_that_plain_helm_made_is_taken_over() -> Result<()> {
    let scene = Scene::new("adopt").await?;
    let url = scene.charts.url();
    scene
        .helm(&[
            "install",
            "web",
            "web",
            "--repo",
            &url,
            "--version",
            "1.0.0",
            "--set",
            "message=by-hand",
        ])
        .await?;
    let uid = scene.environment.get("deployment", "web").await?["metadata"]["uid"].clone();

    let commit = scene
        .push(
            &[&Wish::new("web", "web", "1.1.0").values("message: from-git")],
            "Take over",
        )
        .await?;
    scene.deployed("web", 2).await?;

    assert_eq!(
        scene.environment.get("configmap", "web").await?["data"]["message"],
        "from-git"
    );
    let deployment = scene.environment.get("deployment", "web").await?;
    assert_eq!(deployment["metadata"]["uid"], uid, "changed, not made anew");
    assert_eq!(
        deployment["metadata"]["labels"]["choerodon.io/commit"],
        commit.as_str()
    );
    assert_eq!(
        scene.history("web").await?,
        [(1, "superseded".to_owned()), (2, "deployed".to_owned())]
    );
    Ok(())
}

#[tokio::test]
async fn what_is_done_by_hand_with_helm_works_and_git_wins_in_the_end() -> Result<()> {
    let scene = Scene::new("byhand").await?;
    scene
        .push(&[&Wish::new("web", "web", "1.0.0").values("message: one")], "One")
        .await?;
    scene.deployed("web", 1).await?;
    scene
        .push(&[&Wish::new("web", "web", "1.0.0").values("message: two")], "Two")
        .await?;
    scene.deployed("web", 2).await?;

    scene.helm(&["rollback", "web", "1"]).await?;

    eventually("Git's wish is back", PATIENCE * 2, || async {
        let message = scene.environment.get("configmap", "web").await?["data"]["message"].clone();
        ensure!(message == "two", "the message is {message}");
        Ok(())
    })
    .await
    .map_err(|error| scene.stand.explain(error))?;
    scene.deployed("web", 4).await?;

    // Where drift is only to be told, the hand's revision stays.
    scene
        .push(
            &[&Wish::new("web", "web", "1.0.0")
                .values("message: two")
                .with("drift: Report")],
            "Only tell",
        )
        .await?;
    scene.deployed("web", 4).await?;
    scene.helm(&["rollback", "web", "1"]).await?;
    scene
        .becomes("web", "told as made by hand", |status| {
            status["conditions"].to_string().contains("was made by hand")
        })
        .await?;
    assert_eq!(
        scene.environment.get("configmap", "web").await?["data"]["message"],
        "one"
    );
    Ok(())
}

#[tokio::test]
async fn an_environment_with_releases_can_be_deleted_with_its_namespace() -> Result<()> {
    let scene = Scene::new("gone").await?;
    scene
        .push(
            &[
                &Wish::new("web", "web", "1.0.0"),
                &Wish::new("other", "web", "1.0.0"),
            ],
            "Two",
        )
        .await?;
    scene.deployed("web", 1).await?;
    scene.deployed("other", 1).await?;

    scene
        .stand
        .cli
        .run(&["env", "delete", "-p", &scene.stand.project, "staging", "--yes"])
        .await?;

    let namespace = scene.environment.namespace.clone();
    eventually("the namespace is gone", PATIENCE * 2, || async {
        let found = scene.environment.kubectl.find(&["namespace", &namespace]).await?;
        ensure!(found.is_none(), "it is still there");
        Ok(())
    })
    .await
    .map_err(|error| scene.stand.explain(error))?;
    Ok(())
}
