//! A worker that is killed in the middle leaves nothing stuck (faults 7).

use anyhow::{Context, Result, bail, ensure};
use c7n_helm::{
    EngineError, HelmEngine, History, Recovered, ReleaseId, ReleaseStatus, Rollback, Uninstall, WorkerEngine,
};
use c7n_testbed::stack::charts::ChartFolder;
use c7n_testbed::stack::eventually;
use tokio_util::sync::CancellationToken;

use crate::ground::{Ground, TIME, install, upgrade};

/// A hook that never ends, on a node that does not exist: the operation stays where it is.
fn stuck(event: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{{{ .Release.Name }}}}-stuck\n  annotations:\n    \
         helm.sh/hook: {event}\nspec:\n  restartPolicy: Never\n  nodeSelector: {{none: such}}\n  containers:\n  \
         - {{name: c, image: \"c7n.local/sample:1\"}}\n"
    )
}

pub async fn a_killed_worker_leaves_nothing_stuck(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("killed").await?;
    let n = namespace.as_str();
    let web = ground.chart("web")?;
    let plain = ChartFolder::fixture("web")?;
    let mut options = ground.options("killed");
    options.processes = 1;
    let engine = WorkerEngine::new(options.clone());
    let cancel = CancellationToken::new();

    for (event, pending) in [
        ("pre-install", ReleaseStatus::PendingInstall),
        ("post-install", ReleaseStatus::PendingInstall),
        ("pre-upgrade", ReleaseStatus::PendingUpgrade),
        ("post-upgrade", ReleaseStatus::PendingUpgrade),
        ("pre-rollback", ReleaseStatus::PendingRollback),
        ("pre-delete", ReleaseStatus::Uninstalling),
    ] {
        let id = ReleaseId::new(n, event);
        let chart = ground.pack(&plain.clone().with("templates/stuck.yaml", stuck(event)))?;
        let is_install = event.ends_with("install");
        if !is_install {
            engine
                .install(install(&id, &chart, "message: one"), &cancel)
                .await?;
        }
        let operation = async {
            match event {
                "pre-install" | "post-install" => engine.install(install(&id, &chart, ""), &cancel).await,
                "pre-upgrade" | "post-upgrade" => {
                    engine
                        .upgrade(upgrade(&id, &chart, "message: two", 2), &cancel)
                        .await
                }
                "pre-rollback" => {
                    let request = Rollback {
                        id: id.clone(),
                        revision: 1,
                        cluster_kinds: c7n_helm::ClusterKinds::All,
                        timeout: TIME,
                        workloads: c7n_helm::Workloads::AsAsked,
                        conflicts: c7n_helm::Conflicts::Report,
                        on_failure: c7n_helm::OnFailure::Keep,
                    };
                    engine.rollback(request, &cancel).await
                }
                _ => {
                    let request = Uninstall {
                        id: id.clone(),
                        history: History::Forget,
                        timeout: TIME,
                    };
                    engine.uninstall(request, &cancel).await
                }
            }
        };
        let (ended, killed) = tokio::join!(operation, async {
            eventually("the hook runs", TIME, async || {
                ensure!(ground.is_there(n, &format!("pod/{event}-stuck")).await?);
                let last = ground.store.heads(&id).await?.pop().context("no revision")?;
                ensure!(last.status == pending, "{:?}", last.status);
                Ok(())
            })
            .await?;
            kill_workers_of(&ground.options("killed").home)
        });
        killed?;
        assert!(
            matches!(ended, Err(EngineError::Killed { .. })),
            "{event}: {ended:?}"
        );

        // Another process, as after a restart of the agent, knows nothing of it and is told.
        if event == "post-upgrade" {
            let other = WorkerEngine::new(ground.options("other"));
            let refused = other.upgrade(upgrade(&id, &web, "", 3), &cancel).await;
            assert!(
                matches!(refused, Err(EngineError::Pending { status, .. }) if status == pending),
                "{refused:?}"
            );
            let found = other.recover(id.clone(), &cancel).await?;
            assert_eq!(
                found,
                Recovered::MarkedFailed {
                    revision: 2,
                    was: pending
                }
            );
            other.shut_down().await;
        }

        // The engine itself recovers it before its next operation.
        let next = if is_install {
            engine
                .install(install(&id, &web, "message: after"), &cancel)
                .await
        } else {
            engine
                .upgrade(upgrade(&id, &web, "message: after", 3), &cancel)
                .await
        };
        let next = next.with_context(|| event.to_owned())?;
        assert_eq!(next.status, ReleaseStatus::Deployed, "{event}");
        let object = ground.get(n, &format!("configmap/{event}")).await?;
        assert_eq!(object["data"]["message"], "after", "{event}");
        assert!(ground.is_there(n, &format!("service/{event}")).await?);
        let found = engine.recover(id.clone(), &cancel).await?;
        assert!(matches!(found, Recovered::Sound { .. }), "{event}: {found:?}");
    }

    // And one that is to go, goes.
    let id = ReleaseId::new(n, "pre-upgrade");
    let request = Uninstall {
        id: id.clone(),
        history: History::Forget,
        timeout: TIME,
    };
    engine.uninstall(request, &cancel).await?;
    assert!(!ground.is_there(n, "deployment/pre-upgrade").await?);
    assert_eq!(engine.recover(id, &cancel).await?, Recovered::Absent);
    engine.shut_down().await;
    Ok(())
}

/// Kills the workers that live in this folder, and no others.
pub fn kill_workers_of(home: &std::path::Path) -> Result<()> {
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if std::fs::read_link(entry.path().join("cwd")).is_ok_and(|folder| folder == home) {
            let status = std::process::Command::new("kill")
                .args(["-9", &id.to_string()])
                .status()?;
            ensure!(status.success());
            killed += 1;
        }
    }
    if killed == 0 {
        bail!("no worker runs in {}", home.display());
    }
    Ok(())
}
