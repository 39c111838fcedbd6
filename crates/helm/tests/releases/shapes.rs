//! Charts of every shape.

use anyhow::Result;
use c7n_helm::{
    ClusterKinds, EngineError, HelmEngine, History, Labels, Lookup, ReleaseId, ReleaseStatus, Render,
};
use tokio_util::sync::CancellationToken;

use crate::ground::{Ground, TIME, commit, install, upgrade};

pub async fn charts_of_every_shape(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("shapes").await?;
    let n = namespace.as_str();

    // The object of a kind that the same chart defines; its template asks whether the kind is there.
    let crds = ReleaseId::new(n, "gadget");
    let chart = ground.chart("crds")?;
    ground.install(install(&crds, &chart, "")).await?;
    assert_eq!(
        ground.get(n, "gadgets.charts.c7n.local/gadget").await?["spec"]["size"],
        3
    );
    ground.upgrade(upgrade(&crds, &chart, "size: 5", 2)).await?;
    assert_eq!(
        ground.get(n, "gadgets.charts.c7n.local/gadget").await?["spec"]["size"],
        5
    );
    ground.uninstall(&crds, History::Forget).await?;
    // Helm never deletes a CRD, for all objects of it would go.
    ground.get(n, "crd/gadgets.charts.c7n.local").await?;
    ground
        .kubectl
        .run(&["delete", "crd", "gadgets.charts.c7n.local"])
        .await?;

    let umbrella = ReleaseId::new(n, "umbrella");
    let chart = ground.chart("umbrella")?;
    ground.install(install(&umbrella, &chart, "")).await?;
    let front = ground.get(n, "configmap/umbrella-front").await?;
    assert_eq!(front["data"]["message"], "from above");
    assert_eq!(front["metadata"]["labels"]["choerodon.io/release"], "umbrella");
    assert!(ground.is_there(n, "configmap/umbrella-back").await?);
    ground
        .upgrade(upgrade(&umbrella, &chart, "back: {enabled: false}", 2))
        .await?;
    assert!(!ground.is_there(n, "configmap/umbrella-back").await?);

    let library = ReleaseId::new(n, "library");
    ground
        .install(install(&library, &ground.chart("library")?, ""))
        .await?;
    assert_eq!(
        ground.get(n, "configmap/library").await?["data"]["chart"],
        "library"
    );

    lookup(ground, n).await?;
    schema(ground, n).await
}

async fn lookup(ground: &Ground, n: &str) -> Result<()> {
    let id = ReleaseId::new(n, "lookup");
    let chart = ground.chart("lookup")?;
    ground
        .kubectl
        .run(&[
            "create",
            "configmap",
            "source",
            "-n",
            n,
            "--from-literal=message=found",
        ])
        .await?;
    let render = |lookup| Render {
        id: id.clone(),
        chart: chart.clone(),
        values: "".into(),
        labels: Labels {
            environment: "env-1".into(),
            commit: commit(1),
        },
        cluster_kinds: ClusterKinds::All,
        timeout: TIME,
        provenance: None,
        lookup,
    };
    let cancel = CancellationToken::new();

    let seen = ground.engine.render(render(Lookup::Cluster), &cancel).await?;
    assert!(seen.manifest.contains("found: \"found\""), "{}", seen.manifest);
    assert!(seen.manifest.contains("choerodon.io/release: \"lookup\""));
    let blind = ground.engine.render(render(Lookup::Nothing), &cancel).await?;
    assert!(
        blind.manifest.contains("found: \"nothing\""),
        "{}",
        blind.manifest
    );
    assert!(!ground.is_there(n, "configmap/lookup").await?);
    assert_eq!(ground.store.heads(&id).await?, []);

    ground.install(install(&id, &chart, "")).await?;
    let made = ground.get(n, "configmap/lookup").await?;
    assert_eq!(made["data"]["found"], "found");
    // No names are looked up for a chart: it could carry data out that way.
    assert_eq!(made["data"]["address"], "");

    // What an upgrade would write, hooks apart.
    let hooks = ground.chart("hooks")?;
    let mut request = render(Lookup::Cluster);
    request.chart = hooks;
    request.id = ReleaseId::new(n, "rendered");
    let seen = ground.engine.render(request, &cancel).await?;
    assert_eq!(seen.hooks.len(), 6);
    assert!(!seen.manifest.contains("kind: Job"));
    assert!(seen.hooks[0].manifest.contains("choerodon.io/commit"));
    Ok(())
}

async fn schema(ground: &Ground, n: &str) -> Result<()> {
    let id = ReleaseId::new(n, "schema");
    let chart = ground.chart("schema")?;
    let refused = ground
        .install(install(&id, &chart, "size: huge"))
        .await
        .expect_err("it cannot go well");
    assert!(
        matches!(&refused, EngineError::Values { reason } if reason.contains("/size")),
        "{refused}"
    );
    assert_eq!(ground.store.heads(&id).await?, []);
    ground.install(install(&id, &chart, "size: large")).await?;

    let remote = ground.chart("remote-schema")?;
    let refused = ground
        .install(install(&id, &remote, ""))
        .await
        .expect_err("it cannot go well");
    assert!(
        matches!(&refused, EngineError::Chart { reason } if reason.contains("not fetched")),
        "{refused}"
    );
    Ok(())
}

pub async fn many_objects_and_long_values(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("many").await?;
    let n = namespace.as_str();
    let id = ReleaseId::new(n, "many");
    let chart = ground.chart("many")?;
    let text: String = (0..64_000_u32)
        .map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761)))
        .collect();
    assert!(text.len() > 500_000);
    let values = format!("objects: 300\ntext: {text}\n");

    let made = ground.install(install(&id, &chart, &values)).await?;
    assert_eq!(made.status, ReleaseStatus::Deployed);
    let list = ground
        .kubectl
        .json(&["get", "configmap", "-n", n, "-l", "choerodon.io/release=many"])
        .await?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(301));
    assert_eq!(
        ground.get(n, "configmap/many-text").await?["data"]["length"],
        text.len().to_string()
    );

    ground.upgrade(upgrade(&id, &chart, "objects: 3", 2)).await?;
    let list = ground
        .kubectl
        .json(&["get", "configmap", "-n", n, "-l", "choerodon.io/release=many"])
        .await?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(3));
    Ok(())
}
