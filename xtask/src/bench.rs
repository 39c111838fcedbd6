//! `cargo xtask bench NAME`: one figure beside its floor, on release programs and a cluster of its own.

use anyhow::Result;
use c7n_testbed::cluster::{ClusterOptions, LocalCluster, Progress, RealNode};
use clap::Args;
use tokio::process::Command;

use crate::build::{self, Profile};

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench p1     push to applied, one file of 1,000 changed
  cargo xtask bench p8     exec and logs, beside `kubectl`; needs a machine for a real node
  cargo xtask bench p10    100 Helm releases, by the engine and through the product, beside `helm` by hand
  cargo xtask bench p8 -- --part crowd --readers 5000
                           only the readers of one log at once, and more of them
  cargo xtask bench p12    first environment from nothing
The last line printed is one JSON object.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Which figure: p1, p8, p10 or p12
    name: String,
    /// How many times the thing is measured
    #[arg(long)]
    rounds: Option<u32>,
    /// Passed on to the benchmark
    #[arg(last = true)]
    rest: Vec<String>,
}

pub async fn run(arguments: Arguments) -> Result<()> {
    build::programs(Profile::Release).await?;
    // Only a kubelet has logs and processes.
    let real_node = match arguments.name.as_str() {
        "p8" => RealNode::Require,
        _ => RealNode::Never,
    };
    let options = ClusterOptions {
        real_node,
        progress: Progress::Lines,
        ..ClusterOptions::new(format!("bench-{}", std::process::id()))
    };
    let cluster = LocalCluster::start(options).await?;
    // By its own path: asked for alone, cargo would build it and all that it needs once more, with other features.
    let mut command = Command::new(build::folder(Profile::Release)?.join("c7n-bench"));
    command.arg(&arguments.name);
    command.arg("--kubeconfig").arg(cluster.kubeconfig());
    if let Some(rounds) = arguments.rounds {
        command.args(["--rounds", &rounds.to_string()]);
    }
    command.args(&arguments.rest);
    let measured = build::run("the benchmark", &mut command).await;
    cluster.stop().await?;
    measured
}
