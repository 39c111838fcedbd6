//! The product's labels: on every object and pod template, on no selector, and no pod rolls for them.

use anyhow::Result;
use c7n_helm::{History, ReleaseId};
use serde_json::Value;

use crate::ground::{Ground, commit, install, upgrade};

fn assert_ours(labels: &Value, release: &str, at: &str, what: &str) {
    assert_eq!(labels["choerodon.io/release"], release, "{what}: {labels}");
    assert_eq!(labels["choerodon.io/env"], "env-1", "{what}: {labels}");
    assert_eq!(labels["choerodon.io/commit"], at, "{what}: {labels}");
}

fn assert_none(part: &Value, what: &str) {
    assert!(!part.is_null(), "{what} is missing");
    assert!(!part.to_string().contains("choerodon.io/"), "{what}: {part}");
}

pub async fn are_on_everything_and_on_no_selector(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("labels").await?;
    let n = namespace.as_str();
    for chart in ["kinds", "stateful", "web", "hooks"] {
        let id = ReleaseId::new(n, chart);
        ground
            .install(install(&id, &ground.chart(chart)?, "password: something"))
            .await?;
    }

    let first = commit(1);
    for (what, release, template) in [
        ("daemonset/kinds-daemonset", "kinds", "/spec/template"),
        ("replicaset/kinds-replicaset", "kinds", "/spec/template"),
        ("replicationcontroller/kinds-rc", "kinds", "/spec/template"),
        ("job/kinds-job", "kinds", "/spec/template"),
        ("cronjob/kinds-cron", "kinds", "/spec/jobTemplate"),
        ("cronjob/kinds-cron", "kinds", "/spec/jobTemplate/spec/template"),
        ("pod/kinds-pod", "kinds", ""),
        ("configmap/kinds-first", "kinds", ""),
        ("configmap/kinds-second", "kinds", ""),
        ("statefulset/stateful", "stateful", "/spec/template"),
        ("deployment/web", "web", "/spec/template"),
        ("service/web", "web", ""),
        ("secret/web", "web", ""),
        ("configmap/hooks", "hooks", ""),
        ("job/hooks-pre-install", "hooks", "/spec/template"),
    ] {
        let object = ground.get(n, what).await?;
        assert_ours(&object["metadata"]["labels"], release, &first, what);
        let labels = object.pointer(&format!("{template}/metadata/labels"));
        assert_ours(labels.unwrap_or(&Value::Null), release, &first, what);
    }
    for (what, path) in [
        ("daemonset/kinds-daemonset", "/spec/selector"),
        ("replicaset/kinds-replicaset", "/spec/selector"),
        ("replicationcontroller/kinds-rc", "/spec/selector"),
        ("statefulset/stateful", "/spec/selector"),
        ("statefulset/stateful", "/spec/volumeClaimTemplates"),
        ("deployment/web", "/spec/selector"),
        ("service/web", "/spec/selector"),
    ] {
        let object = ground.get(n, what).await?;
        assert_none(object.pointer(path).unwrap_or(&Value::Null), what);
    }
    Ok(())
}

pub async fn an_unrelated_upgrade_rolls_no_pod(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("carried").await?;
    let n = namespace.as_str();
    let id = ReleaseId::new(n, "web");
    let chart = ground.chart("web")?;
    ground.install(install(&id, &chart, "message: one")).await?;
    let generation = |object: &Value| object["metadata"]["generation"].clone();
    let before = ground.get(n, "deployment/web").await?;

    ground.upgrade(upgrade(&id, &chart, "message: two", 2)).await?;
    ground.upgrade(upgrade(&id, &chart, "message: three", 3)).await?;

    let after = ground.get(n, "deployment/web").await?;
    assert_eq!(generation(&before), generation(&after));
    assert_eq!(after["metadata"]["labels"]["choerodon.io/commit"], commit(3));
    let template = &after["spec"]["template"]["metadata"]["labels"];
    assert_eq!(template["choerodon.io/commit"], commit(1));

    ground.upgrade(upgrade(&id, &chart, "port: 9090", 4)).await?;

    let changed = ground.get(n, "deployment/web").await?;
    assert_ne!(generation(&before), generation(&changed));
    let template = &changed["spec"]["template"]["metadata"]["labels"];
    assert_eq!(template["choerodon.io/commit"], commit(4));

    // Every kind with a template, also those whose template cannot change.
    let kinds = ReleaseId::new(n, "kinds");
    let chart = ground.chart("kinds")?;
    ground.install(install(&kinds, &chart, "")).await?;
    ground
        .upgrade(upgrade(&kinds, &chart, "message: other", 2))
        .await?;
    for (what, path) in [
        ("job/kinds-job", "/spec/template/metadata/labels"),
        ("daemonset/kinds-daemonset", "/spec/template/metadata/labels"),
        ("cronjob/kinds-cron", "/spec/jobTemplate/metadata/labels"),
        (
            "cronjob/kinds-cron",
            "/spec/jobTemplate/spec/template/metadata/labels",
        ),
    ] {
        let object = ground.get(n, what).await?;
        assert_eq!(object["metadata"]["labels"]["choerodon.io/commit"], commit(2));
        let template = object.pointer(path).unwrap_or(&Value::Null);
        assert_eq!(template["choerodon.io/commit"], commit(1), "{what}: {template}");
    }
    Ok(())
}

pub async fn a_job_of_an_adopted_release_stays_as_it_was(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("job").await?;
    let n = namespace.as_str();
    let id = ReleaseId::new(n, "kinds");
    let chart = ground.chart("kinds")?;
    let archive = chart.archive.to_str().unwrap_or_default();
    ground.helm(&["install", "kinds", archive, "-n", n]).await?;

    // A label in the Job's template would be refused: it cannot be changed.
    ground.upgrade(upgrade(&id, &chart, "message: ours", 1)).await?;

    let job = ground.get(n, "job/kinds-job").await?;
    assert_ours(&job["metadata"]["labels"], "kinds", &commit(1), "the Job itself");
    assert_none(&job["spec"]["template"]["metadata"]["labels"], "its template");
    let set = ground.get(n, "daemonset/kinds-daemonset").await?;
    assert_ours(
        &set["spec"]["template"]["metadata"]["labels"],
        "kinds",
        &commit(1),
        "a template that can change",
    );
    ground.uninstall(&id, History::Forget).await?;
    Ok(())
}
