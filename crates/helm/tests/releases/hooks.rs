//! Hooks run, and what they said is told. These need pods that really run.

use anyhow::Result;
use c7n_helm::{
    ClusterKinds, EngineError, HelmEngine, History, HookEvent, HookPhase, ReleaseId, ReleaseStatus, Test,
};
use tokio_util::sync::CancellationToken;

use crate::ground::{Ground, TIME, install, upgrade};

pub async fn run_and_are_reported(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("hooks").await?;
    let id = ReleaseId::new(&namespace, "h");
    let chart = ground.chart("hooks")?;

    let made = ground.install(install(&id, &chart, "say: setting up")).await?;
    let told: Vec<_> = made
        .hooks
        .iter()
        .map(|hook| (hook.name.as_str(), hook.event, hook.phase, hook.log.trim()))
        .collect();
    assert_eq!(
        told,
        [
            (
                "h-pre-install",
                HookEvent::PreInstall,
                HookPhase::Succeeded,
                "pre-install: setting up"
            ),
            // Deleted by its policy when it is over; its log was taken before.
            (
                "h-post-install",
                HookEvent::PostInstall,
                HookPhase::Succeeded,
                "post-install: setting up"
            ),
        ]
    );
    assert!(!ground.is_there(&namespace, "job/h-post-install").await?);

    let gone = ground.uninstall(&id, History::Forget).await?;
    assert_eq!(gone.hooks.len(), 1);
    assert_eq!(gone.hooks[0].event, HookEvent::PreDelete);
    Ok(())
}

pub async fn that_fail_say_why(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("failing").await?;
    let chart = ground.chart("hooks")?;
    let id = ReleaseId::new(&namespace, "h");

    let failed = ground
        .install(install(&id, &chart, "fail: pre-install"))
        .await
        .expect_err("it cannot go well");
    let EngineError::Hook { reason, hooks } = &failed else {
        panic!("{failed}");
    };
    assert!(reason.contains("pre-install hook Job/h-pre-install"), "{reason}");
    assert_eq!(hooks.len(), 1);
    assert_eq!(hooks[0].phase, HookPhase::Failed);
    assert!(
        hooks[0].log.ends_with("it does not work out\n"),
        "{}",
        hooks[0].log
    );
    assert!(!ground.is_there(&namespace, "configmap/h").await?);

    // A first install is made again, with the hooks of an install.
    let made = ground.install(install(&id, &chart, "")).await?;
    assert_eq!(made.hooks[0].event, HookEvent::PreInstall);
    Ok(())
}

/// The newest revision. What fails with its hook leaves none pending.
async fn last(ground: &Ground, id: &ReleaseId) -> Result<Option<(u32, ReleaseStatus)>> {
    let last = ground.store.heads(id).await?.pop();
    Ok(last.map(|head| (head.revision, head.status)))
}

pub async fn that_fail_end_an_upgrade(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("failing-upgrade").await?;
    let chart = ground.chart("hooks")?;
    let id = ReleaseId::new(&namespace, "h");
    ground.install(install(&id, &chart, "")).await?;
    for (values, revision) in [("fail: pre-upgrade", 2), ("fail: post-upgrade", 3)] {
        let failed = ground
            .upgrade(upgrade(&id, &chart, values, 2))
            .await
            .expect_err("it cannot go well");
        assert!(matches!(failed, EngineError::Hook { .. }), "{failed}");
        assert_eq!(
            last(ground, &id).await?,
            Some((revision, ReleaseStatus::Failed)),
            "{values}"
        );
    }
    ground.upgrade(upgrade(&id, &chart, "", 3)).await?;
    Ok(())
}

pub async fn that_fail_end_an_uninstallation(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("failing-uninstall").await?;
    let chart = ground.chart("hooks")?;
    let id = ReleaseId::new(&namespace, "h");
    let made = ground.install(install(&id, &chart, "fail: pre-delete")).await?;
    let failed = ground
        .uninstall(&id, History::Forget)
        .await
        .expect_err("it cannot go well");
    assert!(matches!(failed, EngineError::Hook { .. }), "{failed}");
    assert_eq!(
        last(ground, &id).await?,
        Some((made.revision, ReleaseStatus::Failed))
    );
    ground.upgrade(upgrade(&id, &chart, "", 2)).await?;
    ground.uninstall(&id, History::Forget).await?;
    Ok(())
}

pub async fn that_fail_end_a_rollback(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("failing-rollback").await?;
    let chart = ground.chart("hooks")?;
    let id = ReleaseId::new(&namespace, "h");
    ground.install(install(&id, &chart, "fail: pre-rollback")).await?;
    let next = ground.upgrade(upgrade(&id, &chart, "say: on", 2)).await?;
    let failed = ground
        .rollback(&id, next.revision - 1)
        .await
        .expect_err("it cannot go well");
    assert!(matches!(failed, EngineError::Hook { .. }), "{failed}");
    assert_eq!(
        last(ground, &id).await?,
        Some((next.revision + 1, ReleaseStatus::Failed))
    );
    ground.upgrade(upgrade(&id, &chart, "", 3)).await?;
    ground.uninstall(&id, History::Forget).await?;
    Ok(())
}

pub async fn tests_run_on_demand(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("tested").await?;
    let id = ReleaseId::new(&namespace, "t");
    let chart = ground.chart("tested")?;
    let cancel = CancellationToken::new();
    let test = Test {
        id: id.clone(),
        cluster_kinds: ClusterKinds::All,
        timeout: TIME,
    };
    let made = ground.install(install(&id, &chart, "")).await?;
    assert_eq!(made.hooks, []);

    let tested = ground.engine.test(test.clone(), &cancel).await?;
    assert_eq!(tested.hooks.len(), 1);
    assert_eq!(tested.hooks[0].event, HookEvent::Test);
    assert_eq!(tested.hooks[0].log.trim(), "the message is hello");
    ground.helm(&["test", "t", "-n", &namespace]).await?;

    ground.upgrade(upgrade(&id, &chart, "expect: other", 2)).await?;
    let failed = ground
        .engine
        .test(test, &cancel)
        .await
        .expect_err("it cannot go well");
    let EngineError::Hook { hooks, .. } = &failed else {
        panic!("{failed}");
    };
    assert_eq!(hooks[0].phase, HookPhase::Failed);
    // A failed test says nothing about whether the release is deployed.
    let last = ground.store.heads(&id).await?.pop();
    assert_eq!(last.map(|head| head.status), Some(ReleaseStatus::Deployed));
    Ok(())
}
