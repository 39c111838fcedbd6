//! Instances of real releases: everything that a chart makes belongs to its release, and what is wrong is said.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use c7n_api::{Branch, HealthStatus, InstanceDetail};
use c7n_testbed::stack::eventually;

use super::{Scene, Wish};
use crate::stand::PATIENCE;

#[tokio::test]
async fn everything_that_a_release_made_belongs_to_its_instance() -> Result<()> {
    let scene = Scene::new("whose").await?;
    scene.publish("kinds")?;
    let (web, kinds) = (
        Wish::new("web", "web", "1.0.0"),
        Wish::new("kinds", "kinds", "1.0.0"),
    );
    scene.push(&[&web, &kinds], "Two releases").await?;
    scene.deployed("web", 1).await?;
    scene.deployed("kinds", 1).await?;

    let shown = shows(&scene, "web", "is healthy", |shown| {
        let instance = &shown.instance;
        ensure!(
            instance.vitals.health == HealthStatus::Healthy,
            "{:?}",
            instance.vitals
        );
        ensure!(instance.vitals.pods_ready == 1, "{:?}", instance.vitals);
        Ok(())
    })
    .await?;
    let instance = &shown.instance;
    assert_eq!(
        (
            instance.chart.as_deref(),
            instance.version.as_deref(),
            instance.revision
        ),
        (Some("web"), Some("1.0.0"), Some(1))
    );
    assert_eq!(
        (
            instance.deployed.as_deref(),
            instance.phase.as_deref(),
            instance.file.as_deref()
        ),
        (Some("web-1.0.0"), Some("Deployed"), Some("web.yaml"))
    );
    let [release] = shown.tree.as_slice() else {
        anyhow::bail!("more than one at the top: {shown:#?}")
    };
    assert_eq!(release.object.kind, "C7NHelmRelease");

    // The cluster is the witness: what carries the label is in the instance, whatever its kind.
    let listed = scene
        .kubectl(&["api-resources", "--namespaced", "--verbs=list", "-o", "name"])
        .await?;
    let resources: Vec<&str> = listed
        .lines()
        // Events speak of objects, and revisions are the memory of a controller.
        .filter(|line| !line.starts_with("events") && !line.starts_with("controllerrevisions"))
        .collect();
    let labelled = scene
        .kubectl(&[
            "get",
            &resources.join(","),
            "-l",
            "choerodon.io/release=kinds",
            "-o",
            "name",
            "--ignore-not-found",
        ])
        .await?;
    let wanted: BTreeSet<String> = labelled
        .lines()
        .filter_map(|line| line.rsplit('/').next())
        .map(str::to_owned)
        .collect();
    ensure!(wanted.len() > 3, "the chart made nothing: {labelled}");
    shows(&scene, "kinds", "has all that is labelled", |shown| {
        let mut found = BTreeSet::new();
        collect(&shown.tree, &mut found);
        let missing: Vec<&String> = wanted.difference(&found).collect();
        ensure!(missing.is_empty(), "missing {missing:?} of {labelled}");
        Ok(())
    })
    .await?;

    let broken = web.values("image: 127.0.0.1:9/shop/web:9\n");
    scene.push(&[&broken], "An image that nobody has").await?;
    if scene.stand.has_real_node("east").await? {
        shows(&scene, "web", "says why", |shown| {
            let cause = shown.instance.vitals.cause.as_ref().context("no cause")?;
            ensure!(
                cause.object.kind == "Pod"
                    && cause
                        .text
                        .contains("the image 127.0.0.1:9/shop/web:9 cannot be pulled"),
                "{cause:?}"
            );
            Ok(())
        })
        .await?;
    } else {
        eprintln!("NOT RUN: the cause of a pod needs a real node, and cluster A has none");
    }
    Ok(())
}

async fn shows(
    scene: &Scene,
    name: &str,
    what: &str,
    check: impl Fn(&InstanceDetail) -> Result<()>,
) -> Result<InstanceDetail> {
    let project = scene.stand.project.as_str();
    eventually(&format!("{name} {what}"), PATIENCE, || async {
        let arguments = ["instance", "show", "-p", project, "-e", "staging", name];
        let shown: InstanceDetail = scene.stand.cli.json(&arguments).await?;
        check(&shown)?;
        Ok(shown)
    })
    .await
    .map_err(|error| scene.stand.explain(error))
}

fn collect(tree: &[Branch], names: &mut BTreeSet<String>) {
    for branch in tree {
        names.insert(branch.object.name.clone());
        collect(&branch.owned, names);
    }
}
