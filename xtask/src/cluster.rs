//! `cargo xtask cluster up|status|down`: a cluster that stays until it is taken down.

use std::time::Instant;

use anyhow::{Result, bail};
use c7n_testbed::cluster::{self, ClusterOptions, ClusterState, Lifetime, LocalCluster, Progress, RealNode};
use c7n_testbed::programs;
use clap::{Args, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  cargo xtask cluster up                with a real node if this machine can
  cargo xtask cluster up --name big --kwok-nodes 50 --real-node never
  export KUBECONFIG=$(cargo xtask cluster status --kubeconfig)
  cargo xtask cluster down              nothing of it is left
  cargo xtask cluster down --all

A real node runs containers and needs root; nodes played by kwok need nothing.
The first `up` builds the cluster's programs, which takes 5 to 10 minutes.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts a cluster and says how to use it
    #[command(after_help = EXAMPLES)]
    Up(Up),
    /// Lists the clusters of this machine
    #[command(after_help = EXAMPLES)]
    Status(Status),
    /// Stops a cluster and removes all it left
    #[command(after_help = EXAMPLES)]
    Down(Down),
}

#[derive(Args)]
struct Up {
    /// Name of the cluster
    #[arg(long, default_value = "dev")]
    name: String,
    /// Whether containers shall really run
    #[arg(long, value_enum, default_value = "auto")]
    real_node: WantedNode,
    /// How many nodes kwok plays
    #[arg(long, default_value_t = 1)]
    kwok_nodes: u16,
}

#[derive(Args)]
struct Status {
    /// Prints only the path of this cluster's kubeconfig
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "dev")]
    kubeconfig: Option<String>,
}

#[derive(Args)]
struct Down {
    /// Name of the cluster
    #[arg(long, default_value = "dev")]
    name: String,
    /// Every cluster of this machine, also those of tests
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum WantedNode {
    Auto,
    Require,
    Never,
}

pub async fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Up(up) => start(up).await,
        Command::Status(status) => show(&status).await,
        Command::Down(down) => stop(&down).await,
    }
}

async fn start(up: Up) -> Result<()> {
    programs::packages::check_git_and_ssh()?;
    eprintln!("cluster {}", up.name);
    let begun = Instant::now();
    let cluster = LocalCluster::start(ClusterOptions {
        real_node: match up.real_node {
            WantedNode::Auto => RealNode::Auto,
            WantedNode::Require => RealNode::Require,
            WantedNode::Never => RealNode::Never,
        },
        kwok_nodes: up.kwok_nodes,
        lifetime: Lifetime::UntilStopped,
        progress: Progress::Lines,
        ..ClusterOptions::new(&up.name)
    })
    .await?;
    eprintln!("  {:>5.1} s  in all", begun.elapsed().as_secs_f32());
    let kubectl = cluster.handle().kubectl_program();
    println!("\nThe cluster {} is ready. Use it with", up.name);
    println!("  export KUBECONFIG={}", cluster.kubeconfig().display());
    println!(
        "  export PATH={}:$PATH",
        kubectl.parent().unwrap_or(kubectl).display()
    );
    println!("  kubectl get nodes");
    println!("Take it down with\n  cargo xtask cluster down --name {}", up.name);
    Ok(())
}

async fn show(status: &Status) -> Result<()> {
    if let Some(name) = &status.kubeconfig {
        println!("{}", LocalCluster::attach(name).await?.kubeconfig().display());
        return Ok(());
    }
    let clusters = cluster::list()?;
    if clusters.is_empty() {
        println!("No cluster. Start one with `cargo xtask cluster up`.");
        return Ok(());
    }
    println!("{:<20} {:<10} {:<18} KUBECONFIG", "NAME", "STATE", "NODES");
    for state in &clusters {
        println!(
            "{:<20} {:<10} {:<18} {}",
            state.name,
            condition(state),
            nodes(state),
            state.kubeconfig().display()
        );
        for dead in state
            .processes
            .iter()
            .filter(|_| state.is_running())
            .filter(|running| !running.is_alive())
        {
            println!("  {}", dead.last_words());
        }
    }
    Ok(())
}

fn condition(state: &ClusterState) -> &'static str {
    if !state.is_running() {
        "dead"
    } else if state.processes.iter().any(|running| !running.is_alive()) {
        "broken"
    } else if state.is_orphan() {
        "orphan"
    } else {
        "running"
    }
}

fn nodes(state: &ClusterState) -> String {
    let real = if state.node.is_some() { "1 real, " } else { "" };
    format!("{real}{} kwok", state.kwok_nodes)
}

async fn stop(down: &Down) -> Result<()> {
    let names = match down.all {
        true => cluster::list()?.into_iter().map(|state| state.name).collect(),
        false => vec![down.name.clone()],
    };
    for name in names {
        let begun = Instant::now();
        if !cluster::stop_by_name(&name).await? {
            bail!("there is no cluster {name}; `cargo xtask cluster status` lists them");
        }
        println!("stopped {name} in {:.1} s", begun.elapsed().as_secs_f32());
    }
    Ok(())
}
