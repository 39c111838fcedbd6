//! P12: from `env create` to the first commit applied. There is no floor: nothing smaller does the same.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use serde_json::Value;

use crate::figures::{Times, report};
use crate::stage::{Stage, config_map};

pub async fn run(kubeconfig: &Path, rounds: usize) -> Result<Value> {
    let stage = Stage::set(kubeconfig).await?;
    let mut measured = Times::default();
    for round in 0..rounds {
        let name = format!("first-{round}");
        let started = Instant::now();
        let (_, copy) = stage.create(&name).await?;
        copy.write("settings.yaml", &config_map("settings", "1"))?;
        let commit = copy.publish("First").await?;
        stage.converges(&name, &commit).await?;
        measured.push(started.elapsed());
    }
    stage.clear().await?;
    Ok(report("p12", &measured, None))
}
