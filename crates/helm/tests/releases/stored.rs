//! Helm's records, read without Helm.

use anyhow::{Context, Result};
use c7n_helm::storage::ApplyMethod;
use c7n_helm::{ReleaseId, ReleaseStatus, SpecDigest};

use crate::ground::{Ground, install, upgrade};

pub async fn records_are_read_without_helm(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("stored").await?;
    let n = namespace.as_str();
    let id = ReleaseId::new(n, "web");
    let chart = ground.chart("web")?;
    ground.install(install(&id, &chart, "message: one")).await?;
    let second = ground.upgrade(upgrade(&id, &chart, "message: two", 2)).await?;
    let archive = chart.archive.to_str().unwrap_or_default();
    ground
        .helm(&["install", "theirs", archive, "-n", n, "--server-side=false"])
        .await?;

    let heads = ground.store.heads(&id).await?;
    assert_eq!(
        heads
            .iter()
            .map(|head| (head.revision, head.status))
            .collect::<Vec<_>>(),
        [(1, ReleaseStatus::Superseded), (2, ReleaseStatus::Deployed)]
    );
    assert_eq!(heads[0].spec_digest, Some(SpecDigest::of("message: one")));
    assert_eq!(heads[1].spec_digest, Some(SpecDigest::of("message: two")));
    assert_eq!(ground.store.heads_in(n).await?.len(), 3);

    let deployed = ground.store.deployed(&id).await?.context("it is deployed")?;
    assert_eq!(deployed.head, heads[1]);
    assert_eq!(deployed.chart_name(), "web-1.0.0");
    assert_eq!(deployed.app_version, "1");
    assert_eq!(deployed.manifest_digest(), second.manifest_digest);
    assert_eq!(deployed.applied, ApplyMethod::ServerSide);
    let told = ground.helm(&["get", "manifest", "web", "-n", n]).await?;
    assert_eq!(told.trim(), deployed.manifest.trim());

    let theirs = ReleaseId::new(n, "theirs");
    let theirs = ground.store.history(&theirs).await?;
    assert_eq!(theirs.len(), 1);
    assert_eq!(theirs[0].applied, ApplyMethod::ClientSide);
    assert_eq!(theirs[0].head.spec_digest, None);
    assert!(ground.store.revision(&id, 7).await?.is_none());
    Ok(())
}
