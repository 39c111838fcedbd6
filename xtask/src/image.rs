//! `cargo xtask image`: the container images of agent and server, made from the compiled programs without Docker.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use c7n_pack::gzip::Effort;
use c7n_testbed::cluster::LocalCluster;
use c7n_testbed::image::{self, Kind, Made, Order};
use clap::{Args, ValueEnum};

use crate::build::{self, Profile};

const EXAMPLES: &str = "\
Examples:
  cargo xtask image                     both, from release programs, into target/images
  cargo xtask image agent --name registry.example.com/c7n-agent:1.2.0
  cargo xtask image --dev --import dev  from what tests use, and into the local cluster dev

Beside each archive lies its bill of materials (CycloneDX). An archive is an OCI image layout:
`ctr images import`, `podman load`, `skopeo copy oci-archive:FILE docker://...` take it.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Which one; both if absent
    #[arg(value_enum)]
    which: Option<Which>,
    /// REPOSITORY:TAG of the image; c7n.local/PROGRAM:VERSION if absent
    #[arg(long, requires = "which", value_name = "NAME")]
    name: Vec<String>,
    /// From programs compiled for tests: made sooner, bigger
    #[arg(long)]
    dev: bool,
    /// Also into this local cluster
    #[arg(long, value_name = "CLUSTER")]
    import: Option<String>,
    /// Folder for the archives
    #[arg(long, value_name = "FOLDER", default_value = "target/images")]
    into: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Agent,
    Server,
}

pub async fn run(arguments: Arguments) -> Result<()> {
    let profile = if arguments.dev {
        Profile::Dev
    } else {
        Profile::Release
    };
    build::programs(profile).await?;
    for kind in [Kind::Agent, Kind::Server] {
        let wanted = match arguments.which {
            None => true,
            Some(Which::Agent) => kind == Kind::Agent,
            Some(Which::Server) => kind == Kind::Server,
        };
        if wanted {
            one(&arguments, kind, profile).await?;
        }
    }
    Ok(())
}

/// The agent's image from the programs that tests use, on the real node of this cluster, under two tags; the first one.
pub async fn for_tests(cluster: &LocalCluster) -> Result<String> {
    let names = ["test", "test-next"].map(|tag| format!("c7n.local/c7n-agent:{tag}"));
    let order = Order {
        kind: Kind::Agent,
        program: build::folder(Profile::Dev)?.join(Kind::Agent.program()),
        helm_worker: image::helm_worker(Kind::Agent).await?,
        names: names.to_vec(),
        effort: Effort::Fast,
    };
    let made = make(order).await?;
    let folder = std::env::temp_dir().join(format!("c7n-images-{}", std::process::id()));
    let archive = image::write(&made, Kind::Agent, &folder)?;
    let imported = cluster.import_images(&archive).await;
    let _ = std::fs::remove_dir_all(folder);
    imported?;
    let [first, _] = names;
    Ok(first)
}

async fn make(order: Order) -> Result<Made> {
    tokio::task::spawn_blocking(move || image::make(&order))
        .await
        .context("the image was not made")?
}

async fn one(arguments: &Arguments, kind: Kind, profile: Profile) -> Result<()> {
    let begun = Instant::now();
    let names = match arguments.name.is_empty() {
        false => arguments.name.clone(),
        true => vec![format!(
            "c7n.local/{}:{}",
            kind.program(),
            env!("CARGO_PKG_VERSION")
        )],
    };
    let order = Order {
        kind,
        program: build::folder(profile)?.join(kind.program()),
        helm_worker: image::helm_worker(kind).await?,
        names,
        effort: match profile {
            Profile::Dev => Effort::Fast,
            Profile::Release => Effort::Best,
        },
    };
    let made = make(order.clone()).await?;
    let archive = image::write(&made, kind, &arguments.into)?;
    println!(
        "{}  {:.1} MB, unpacked {:.1} MB, in {:.1} s\n  {}\n  {}",
        archive.display(),
        megabytes(made.archive.len()),
        megabytes(made.unpacked),
        begun.elapsed().as_secs_f32(),
        order.names.join("\n  "),
        made.digest,
    );
    if let Some(cluster) = &arguments.import {
        LocalCluster::attach(cluster)
            .await?
            .import_images(&archive)
            .await?;
        println!("  is in the cluster {cluster}");
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
