//! The project's own commands: `cargo xtask COMMAND`. One file per command.

mod attempts;
mod bench;
mod build;
mod chart;
mod cluster;
mod demo;
mod image;
mod test;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The project's own commands"
)]
struct Xtask {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays the main job from nothing: cluster, platform, agent, two environments, two pushes
    Demo(demo::Arguments),
    /// Runs every check and every test, on real parts
    Test(test::Arguments),
    /// Measures one figure beside its floor
    Bench(bench::Arguments),
    /// Makes the container images of agent and server, without Docker
    Image(image::Arguments),
    /// Packs the Helm charts, the same bytes each time
    Chart(chart::Arguments),
    /// A Kubernetes cluster of your own on this machine
    Cluster(cluster::Arguments),
}

#[tokio::main]
async fn main() -> Result<()> {
    match Xtask::parse().command {
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Test(arguments) => test::run(arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
        Command::Image(arguments) => image::run(arguments).await,
        Command::Chart(arguments) => chart::run(&arguments),
        Command::Cluster(arguments) => cluster::run(arguments).await,
    }
}
