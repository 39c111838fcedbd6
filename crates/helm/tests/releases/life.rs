//! A release from its install to its end.

use std::time::Duration;

use anyhow::Result;
use c7n_helm::{EngineError, History, OnFailure, ReleaseId, ReleaseStatus};
use c7n_testbed::stack::charts::ChartFolder;

use crate::ground::{Ground, commit, install, upgrade};

pub async fn from_install_to_uninstall(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("life").await?;
    let id = ReleaseId::new(&namespace, "web");
    let chart = ground.chart("web")?;

    let made = ground.install(install(&id, &chart, "message: one")).await?;
    assert_eq!((made.revision, made.status), (1, ReleaseStatus::Deployed));
    assert_eq!(made.chart, "web-1.0.0");
    assert_eq!(made.notes.trim(), "web says one.");
    assert_eq!(
        ground.get(&namespace, "configmap/web").await?["data"]["message"],
        "one"
    );
    assert_eq!(
        ground.install(install(&id, &chart, "")).await,
        Err(EngineError::Exists {
            revision: 1,
            status: ReleaseStatus::Deployed
        })
    );

    let changed = ground.upgrade(upgrade(&id, &chart, "message: two", 2)).await?;
    assert_eq!((changed.revision, changed.status), (2, ReleaseStatus::Deployed));
    assert_ne!(changed.manifest_digest, made.manifest_digest);
    assert_eq!(
        ground.get(&namespace, "configmap/web").await?["data"]["message"],
        "two"
    );

    // Values are the whole truth: what is not said any more is the chart's own again.
    ground.upgrade(upgrade(&id, &chart, "", 3)).await?;
    assert_eq!(
        ground.get(&namespace, "configmap/web").await?["data"]["message"],
        "hello"
    );

    let back = ground.rollback(&id, 1).await?;
    assert_eq!((back.revision, back.status), (4, ReleaseStatus::Deployed));
    assert_eq!(back.manifest_digest, made.manifest_digest);
    let object = ground.get(&namespace, "configmap/web").await?;
    assert_eq!(object["data"]["message"], "one");
    assert_eq!(object["metadata"]["labels"]["choerodon.io/commit"], commit(1));

    // Another chart altogether: what only the old one had goes.
    let other = ground.chart("umbrella")?;
    ground.upgrade(upgrade(&id, &other, "", 5)).await?;
    assert!(ground.is_there(&namespace, "configmap/web-front").await?);
    assert!(!ground.is_there(&namespace, "deployment/web").await?);

    let gone = ground.uninstall(&id, History::Forget).await?;
    assert_eq!(gone.status, ReleaseStatus::Uninstalled);
    assert!(!ground.is_there(&namespace, "configmap/web-front").await?);
    assert_eq!(ground.store.heads(&id).await?, []);
    assert!(matches!(
        ground.uninstall(&id, History::Forget).await,
        Err(EngineError::NotFound { .. })
    ));
    assert!(matches!(
        ground.upgrade(upgrade(&id, &chart, "", 6)).await,
        Err(EngineError::NotFound { .. })
    ));
    assert!(matches!(
        ground.rollback(&id, 1).await,
        Err(EngineError::NotFound { .. })
    ));
    Ok(())
}

pub async fn a_kept_history_goes_on(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("kept").await?;
    let id = ReleaseId::new(&namespace, "web");
    let chart = ground.chart("web")?;
    ground.install(install(&id, &chart, "message: one")).await?;
    ground.upgrade(upgrade(&id, &chart, "message: two", 2)).await?;

    ground.uninstall(&id, History::Keep).await?;
    let heads = ground.store.heads(&id).await?;
    assert_eq!(heads.len(), 2);
    assert_eq!(heads[1].status, ReleaseStatus::Uninstalled);
    assert!(!ground.is_there(&namespace, "deployment/web").await?);

    let again = ground.install(install(&id, &chart, "message: three")).await?;
    assert_eq!(again.revision, 3);
    ground.uninstall(&id, History::Keep).await?;
    let back = ground.rollback(&id, 2).await?;
    assert_eq!((back.revision, back.status), (4, ReleaseStatus::Deployed));
    assert_eq!(
        ground.get(&namespace, "configmap/web").await?["data"]["message"],
        "two"
    );
    Ok(())
}

pub async fn a_first_install_that_failed_is_made_again(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("first").await?;
    let id = ReleaseId::new(&namespace, "web");
    // A selector that does not fit the template: the API server refuses the Deployment, the rest is there already.
    let broken = ChartFolder::fixture("web")?.with(
        "templates/extra.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: left-over\n---\napiVersion: apps/v1\nkind: Deployment\n\
         metadata:\n  name: broken\nspec:\n  selector:\n    matchLabels: {a: b}\n  template:\n    metadata:\n      \
         labels: {a: c}\n    spec:\n      containers: [{name: c, image: i}]\n",
    );
    let refused = ground
        .install(install(&id, &ground.pack(&broken)?, ""))
        .await
        .expect_err("it cannot go well");
    assert!(
        matches!(&refused, EngineError::Refused { object, .. } if object == "Deployment/broken"),
        "{refused}"
    );
    assert_eq!(ground.store.heads(&id).await?[0].status, ReleaseStatus::Failed);
    assert!(ground.is_there(&namespace, "configmap/left-over").await?);

    let made = ground.install(install(&id, &ground.chart("web")?, "")).await?;
    assert_eq!((made.revision, made.status), (2, ReleaseStatus::Deployed));
    assert!(ground.is_there(&namespace, "deployment/web").await?);
    assert!(!ground.is_there(&namespace, "configmap/left-over").await?);
    Ok(())
}

pub async fn a_failed_upgrade_is_rolled_back(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("back").await?;
    let id = ReleaseId::new(&namespace, "web");
    let chart = ground.chart("web")?;
    ground.install(install(&id, &chart, "message: one")).await?;

    let mut request = upgrade(&id, &chart, "message: two\nimage: c7n.local/missing:1", 2);
    request.on_failure = OnFailure::RollBack;
    request.deployment.timeout = Duration::from_secs(12);
    let failed = ground.upgrade(request).await.expect_err("it cannot go well");

    let EngineError::RolledBack { revision: 3, cause } = failed else {
        panic!("{failed}");
    };
    assert!(
        matches!(&*cause, EngineError::NotReady { reason } if reason.contains("Deployment/")),
        "{cause}"
    );
    assert_eq!(
        ground.get(&namespace, "configmap/web").await?["data"]["message"],
        "one"
    );
    let statuses: Vec<_> = ground
        .store
        .heads(&id)
        .await?
        .iter()
        .map(|head| head.status)
        .collect();
    assert_eq!(
        statuses,
        [
            ReleaseStatus::Superseded,
            ReleaseStatus::Failed,
            ReleaseStatus::Deployed
        ]
    );
    Ok(())
}
