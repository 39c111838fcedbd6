//! People who use `helm` themselves, on the same releases.

use anyhow::Result;
use c7n_helm::{History, ReleaseId, ReleaseStatus, SpecDigest};
use c7n_testbed::stack::charts::ChartFolder;

use crate::ground::{Ground, install, upgrade};

pub async fn the_program_works_on_our_releases(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("hand").await?;
    let n = namespace.as_str();
    let id = ReleaseId::new(n, "web");
    let chart = ground.chart("web")?;
    ground.install(install(&id, &chart, "message: one")).await?;
    ground.upgrade(upgrade(&id, &chart, "message: two", 2)).await?;

    let listed = ground.helm_json(&["ls", "-n", n]).await?;
    assert_eq!(listed[0]["name"], "web");
    assert_eq!(listed[0]["revision"], "2");
    assert_eq!(listed[0]["status"], "deployed");
    assert_eq!(listed[0]["chart"], "web-1.0.0");
    let by_label = format!(
        "{}={}",
        SpecDigest::LABEL,
        SpecDigest::of("message: two").as_str()
    );
    let found = ground.helm_json(&["ls", "-n", n, "-l", &by_label]).await?;
    assert_eq!(found.as_array().map(Vec::len), Some(1));

    let history = ground.helm_json(&["history", "web", "-n", n]).await?;
    assert_eq!(history[0]["status"], "superseded");
    assert_eq!(history[1]["status"], "deployed");
    assert_eq!(
        ground
            .helm(&["get", "values", "web", "-n", n, "-o", "json"])
            .await?
            .trim(),
        r#"{"message":"two"}"#
    );

    // By hand back, by hand on, and then the engine again.
    ground.helm(&["rollback", "web", "1", "-n", n]).await?;
    assert_eq!(ground.get(n, "configmap/web").await?["data"]["message"], "one");
    let archive = chart.archive.to_str().unwrap_or_default();
    ground
        .helm(&["upgrade", "web", archive, "-n", n, "--set", "message=by-hand"])
        .await?;
    assert_eq!(
        ground.get(n, "configmap/web").await?["data"]["message"],
        "by-hand"
    );
    let ours = ground.upgrade(upgrade(&id, &chart, "message: ours", 3)).await?;
    assert_eq!((ours.revision, ours.status), (5, ReleaseStatus::Deployed));

    ground.helm(&["uninstall", "web", "-n", n]).await?;
    assert!(!ground.is_there(n, "deployment/web").await?);
    Ok(())
}

pub async fn a_release_of_the_program_is_adopted(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("adopted").await?;
    let n = namespace.as_str();
    let chart = ground.chart("web")?;
    let archive = chart.archive.to_str().unwrap_or_default();
    for (name, way) in [("new", "--server-side=true"), ("old", "--server-side=false")] {
        let id = ReleaseId::new(n, name);
        ground
            .helm(&["install", name, archive, "-n", n, "--set", "message=theirs", way])
            .await?;

        let ours = ground.upgrade(upgrade(&id, &chart, "message: ours", 1)).await?;

        assert_eq!((ours.revision, ours.status), (2, ReleaseStatus::Deployed));
        let object = ground.get(n, &format!("deployment/{name}")).await?;
        for labels in [
            &object["metadata"]["labels"],
            &object["spec"]["template"]["metadata"]["labels"],
        ] {
            assert_eq!(labels["choerodon.io/release"], name);
        }
        // What the chart does not have any more goes, though the program made it.
        let smaller = ChartFolder::fixture("web")?.without("templates/service.yaml");
        ground
            .upgrade(upgrade(&id, &ground.pack(&smaller)?, "", 2))
            .await?;
        assert!(!ground.is_there(n, &format!("service/{name}")).await?);
        ground.uninstall(&id, History::Forget).await?;
        assert!(!ground.is_there(n, &format!("deployment/{name}")).await?);
    }
    Ok(())
}
