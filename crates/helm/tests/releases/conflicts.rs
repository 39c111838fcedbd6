//! Fields and objects that belong to somebody else.

use anyhow::Result;
use c7n_helm::{Conflicts, EngineError, FieldConflict, Ownership, ReleaseId, ReleaseStatus};

use crate::ground::{Ground, install, upgrade};

pub async fn are_reported_and_not_stolen(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("conflict").await?;
    let n = namespace.as_str();
    let id = ReleaseId::new(n, "web");
    let chart = ground.chart("web")?;
    ground.install(install(&id, &chart, "replicas: 1")).await?;
    // Somebody takes the number of replicas for good.
    ground
        .kubectl
        .run(&["scale", "-n", n, "deployment/web", "--replicas=3"])
        .await?;

    let refused = ground
        .upgrade(upgrade(&id, &chart, "replicas: 2", 2))
        .await
        .expect_err("it cannot go well");

    let EngineError::Conflict { conflicts } = &refused else {
        panic!("{refused}");
    };
    assert_eq!(
        conflicts[0],
        FieldConflict {
            object: "Deployment/web".into(),
            field: ".spec.replicas".into(),
            manager: "kubectl".into()
        }
    );
    assert_eq!(ground.get(n, "deployment/web").await?["spec"]["replicas"], 3);
    let last = ground.store.heads(&id).await?.pop();
    assert_eq!(last.map(|head| head.status), Some(ReleaseStatus::Failed));

    let mut taken = upgrade(&id, &chart, "replicas: 2", 3);
    taken.conflicts = Conflicts::Overwrite;
    ground.upgrade(taken).await?;
    assert_eq!(ground.get(n, "deployment/web").await?["spec"]["replicas"], 2);
    Ok(())
}

pub async fn foreign_objects_are_left_alone(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("foreign").await?;
    let n = namespace.as_str();
    let id = ReleaseId::new(n, "web");
    let chart = ground.chart("web")?;
    ground
        .kubectl
        .run(&["create", "configmap", "web", "-n", n, "--from-literal=mine=yes"])
        .await?;

    let refused = ground
        .install(install(&id, &chart, ""))
        .await
        .expect_err("it cannot go well");

    assert!(
        matches!(&refused, EngineError::NotOurs { object, .. } if object == "ConfigMap/web"),
        "{refused}"
    );
    assert_eq!(ground.store.heads(&id).await?, []);
    assert!(!ground.is_there(n, "deployment/web").await?);

    let mut taken = install(&id, &chart, "");
    taken.deployment.ownership = Ownership::Take;
    taken.conflicts = Conflicts::Overwrite;
    ground.install(taken).await?;
    let object = ground.get(n, "configmap/web").await?;
    assert_eq!(object["data"]["message"], "hello");
    assert_eq!(
        object["metadata"]["annotations"]["meta.helm.sh/release-name"],
        "web"
    );
    Ok(())
}
