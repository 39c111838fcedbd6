//! Charts that run wild, and operations that are stopped (faults 23).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use c7n_helm::{EngineError, HelmEngine, ReleaseId, ReleaseStatus, WorkerEngine};
use c7n_testbed::stack::charts::ChartFolder;
use tokio_util::sync::CancellationToken;

use crate::ground::{Ground, TIME, install, upgrade};

pub async fn a_chart_that_loops_is_ended_alone(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("loop").await?;
    let n = namespace.as_str();
    let wild = ReleaseId::new(n, "wild");
    let good = ReleaseId::new(n, "good");
    let web = ground.chart("web")?;
    let mut looping = install(&wild, &ground.chart("loop")?, "way: time");
    looping.deployment.timeout = Duration::from_secs(30);

    let is_over = AtomicBool::new(false);
    let begun = Instant::now();
    let (ended, calm) = tokio::join!(
        async {
            let ended = ground.install(looping).await;
            is_over.store(true, Ordering::SeqCst);
            ended
        },
        async {
            let made = ground.install(install(&good, &web, "")).await?;
            let mut last = made.revision;
            for round in 0..3 {
                let values = format!("message: m{round}");
                last = ground.upgrade(upgrade(&good, &web, &values, 2)).await?.revision;
            }
            Ok::<_, EngineError>((last, is_over.load(Ordering::SeqCst)))
        }
    );

    assert_eq!(
        ended,
        Err(EngineError::Timeout {
            after: Duration::from_secs(30)
        })
    );
    // It never ends by itself.
    assert!(begun.elapsed() < TIME, "{:?}", begun.elapsed());
    assert_eq!(calm?, (4, false), "the other release went on meanwhile");
    assert_eq!(ground.store.heads(&wild).await?, []);
    // The same name works afterwards.
    ground.install(install(&wild, &web, "")).await?;

    let mut deep = install(&ReleaseId::new(n, "deep"), &ground.chart("loop")?, "way: depth");
    deep.deployment.timeout = TIME;
    let refused = ground.install(deep).await.expect_err("it cannot go well");
    assert!(matches!(refused, EngineError::Chart { .. }), "{refused}");
    Ok(())
}

pub async fn a_greedy_chart_is_ended(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("greedy").await?;
    let mut options = ground.options("greedy");
    options.memory = 300 << 20;
    options.processes = 1;
    let engine = WorkerEngine::new(options);
    let cancel = CancellationToken::new();
    let id = ReleaseId::new(&namespace, "greedy");

    let begun = Instant::now();
    let killed = engine
        .install(install(&id, &ground.chart("loop")?, "way: memory"), &cancel)
        .await
        .expect_err("it cannot go well");

    assert!(
        matches!(&killed, EngineError::Killed { reason } if reason.contains("300 MiB")),
        "{killed}"
    );
    assert!(begun.elapsed() < TIME / 2, "{:?}", begun.elapsed());
    let made = engine
        .install(install(&id, &ground.chart("web")?, ""), &cancel)
        .await?;
    assert_eq!(made.status, ReleaseStatus::Deployed);
    engine.shut_down().await;
    Ok(())
}

pub async fn bad_archives_are_refused(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("archives").await?;
    let id = ReleaseId::new(&namespace, "bad");
    let web = ChartFolder::fixture("web")?;
    let files = ground.folder().join("bad");
    std::fs::create_dir_all(&files)?;

    let mut archives = vec![
        ("up", ground.pack(&web.clone().with("../up.yaml", "a: b"))?),
        (
            "huge",
            ground.pack(&web.clone().with("files/zeros", vec![0_u8; 70 << 20]))?,
        ),
        (
            "no-name",
            ground.pack(
                &web.clone()
                    .with("Chart.yaml", "apiVersion: v2\nname: x\nversion: latest\n"),
            )?,
        ),
        (
            "lacks",
            ground.pack(
                &ChartFolder::fixture("umbrella")?
                    .without("charts/back/Chart.yaml")
                    .without("charts/back/values.yaml")
                    .without("charts/back/templates/config.yaml"),
            )?,
        ),
    ];
    let broken = files.join("broken-1.0.0.tgz");
    std::fs::write(&broken, b"this is no archive")?;
    archives.push(("broken", c7n_helm::Chart { archive: broken }));
    archives.push((
        "missing",
        c7n_helm::Chart {
            archive: files.join("missing-1.0.0.tgz"),
        },
    ));
    let linked = files.join("linked");
    std::fs::create_dir_all(linked.join("web"))?;
    std::os::unix::fs::symlink("/etc/passwd", linked.join("web/values.yaml"))?;
    std::fs::write(
        linked.join("web/Chart.yaml"),
        "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    )?;
    let archive = files.join("linked-1.0.0.tgz");
    let packed = std::process::Command::new("tar")
        .arg("-czf")
        .arg(&archive)
        .arg("-C")
        .arg(&linked)
        .arg("web")
        .status()?;
    assert!(packed.success());
    archives.push(("linked", c7n_helm::Chart { archive }));

    for (case, chart) in archives {
        let refused = ground
            .install(install(&id, &chart, ""))
            .await
            .expect_err("it cannot go well");
        assert!(matches!(refused, EngineError::Chart { .. }), "{case}: {refused}");
        assert_eq!(ground.store.heads(&id).await?, [], "{case}");
    }
    Ok(())
}

pub async fn an_operation_is_cancelled_at_once(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("cancel").await?;
    let id = ReleaseId::new(&namespace, "wild");
    let cancel = CancellationToken::new();
    let looping = install(&id, &ground.chart("loop")?, "way: time");
    let other = install(&id, &ground.chart("web")?, "");

    let begun = Instant::now();
    let (ended, ()) = tokio::join!(ground.engine.install(looping, &cancel), async {
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert_eq!(ground.install(other).await, Err(EngineError::Busy));
        cancel.cancel();
    });

    assert_eq!(ended, Err(EngineError::Cancelled));
    assert!(begun.elapsed() < TIME / 2, "{:?}", begun.elapsed());
    ground.install(install(&id, &ground.chart("web")?, "")).await?;
    Ok(())
}
