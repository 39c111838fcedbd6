//! `cargo xtask test`: every check and every test, on real parts.

use std::time::Instant;

use anyhow::{Context, Result};
use c7n_testbed::cluster::{self, ClusterOptions, LocalCluster, Progress, RealNode};
use c7n_testbed::programs::{self, Program, packages};
use clap::Args;
use tokio::process::Command;

use crate::attempts;
use crate::build::{self, cargo, run as run_program};
use crate::image;

/// Of the test programs that `cargo test` runs: how many tests of one run at once.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

const EXAMPLES: &str = "\
Examples:
  cargo xtask test                      everything, as CI does
  cargo xtask test --only e2e           only the tests on real clusters
  cargo xtask test --only e2e -- drift  of these only the ones with `drift` in their names";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Passed on to the test programs
    #[arg(last = true)]
    rest: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Formatting and lints
    Lint,
    /// The tests of each crate; the agent's start an API server of their own
    Unit,
    /// The whole product on real clusters
    E2e,
    /// `cargo xtask demo --once`
    Demo,
}

pub async fn run(arguments: Arguments) -> Result<()> {
    let wanted = |part: Part| arguments.only.is_none_or(|only| only == part);
    let started = Instant::now();
    let mut flaky = Vec::new();
    packages::check_git_and_ssh()?;
    if wanted(Part::Lint) {
        step("formatting and lints", lint()).await?;
    }
    if wanted(Part::Unit) || wanted(Part::E2e) || wanted(Part::Demo) {
        step("programs and tests", build::with_tests()).await?;
    }
    if wanted(Part::Unit) {
        flaky.extend(step("tests of each crate", unit(&arguments.rest)).await?);
    }
    if wanted(Part::E2e) {
        flaky.extend(step("tests on real clusters", e2e(&arguments.rest)).await?);
    }
    if wanted(Part::Demo) {
        step("the demo", demo()).await?;
    }
    if !packages::is_root() {
        eprintln!(
            "\nNOT RUN: what needs root (a disk that fills, the agent's programs in a root of their own); run it with `sudo`"
        );
    }
    for test in flaky {
        eprintln!(
            "\nPASSED ONLY AT THE SECOND ATTEMPT, ALONE: {test}; find out why before it hides a defect"
        );
    }
    eprintln!("\nall passed in {} s", started.elapsed().as_secs());
    Ok(())
}

async fn step<T>(name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let started = Instant::now();
    eprintln!("\n=== {name}");
    let result = work.await.with_context(|| name.to_owned())?;
    eprintln!("=== {name}: passed in {} s", started.elapsed().as_secs());
    Ok(result)
}

async fn lint() -> Result<()> {
    run_program("cargo fmt", cargo().args(["fmt", "--all", "--check"])).await?;
    // The tests on clusters are no test by default, and so are not among all targets.
    for targets in [["--all-targets"].as_slice(), &["--test", "e2e"]] {
        let mut clippy = cargo();
        clippy
            .args(["clippy", "--quiet", "--workspace"])
            .args(targets)
            .args(["--", "-D", "warnings"]);
        run_program("cargo clippy", &mut clippy).await?;
    }
    Ok(())
}

async fn unit(rest: &[String]) -> Result<Vec<String>> {
    // Nearly all that takes long among them waits for something.
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let threads = std::env::var(TEST_THREADS).unwrap_or_else(|_| (2 * cores).to_string());
    let flaky = attempts::run(rest, |arguments| {
        // All but the tests on clusters, which `cargo test` leaves out (see crates/testbed/Cargo.toml).
        let mut command = cargo();
        command
            .args(["test", "--workspace", "--quiet", "--no-fail-fast", "--"])
            .args(arguments)
            .env(TEST_THREADS, &threads);
        command
    })
    .await?;
    worker().await?;
    Ok(flaky)
}

/// The pure parts of the Helm worker; what it does to a cluster is tested from `crates/helm`.
async fn worker() -> Result<()> {
    let mut command = Command::new("go");
    command
        .args(["test", "-mod=readonly", "-trimpath", "./..."])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../helm"))
        .env("CGO_ENABLED", "0")
        .env_remove("GOFLAGS");
    run_program("go test", &mut command).await
}

async fn e2e(rest: &[String]) -> Result<Vec<String>> {
    packages::ensure_signing_programs()?;
    cluster::sweep().await?;
    let kubectl = programs::ensure(Program::Kubectl).await?;
    let suffix = std::process::id();
    let a = LocalCluster::start(ClusterOptions {
        progress: Progress::Lines,
        ..ClusterOptions::new(format!("test-a-{suffix}"))
    })
    .await?;
    let b = LocalCluster::start(ClusterOptions {
        real_node: RealNode::Never,
        progress: Progress::Lines,
        ..ClusterOptions::new(format!("test-b-{suffix}"))
    })
    .await?;
    let real_node = a.has_real_node();
    programs::ensure(Program::Helm).await?;
    let agent_image = match real_node {
        true => Some(image::for_tests(&a).await.context("the agent's image")?),
        false => None,
    };
    let first = [&["--test-threads", "4"].map(str::to_owned), rest].concat();
    let tested = attempts::run(&first, |arguments| {
        let mut command = cargo();
        command
            .args(["test", "--workspace", "--test", "e2e", "--"])
            .args(arguments)
            .env("C7N_TEST_KUBECTL", &kubectl)
            .env("C7N_TEST_KUBECONFIG_A", a.kubeconfig())
            .env("C7N_TEST_KUBECONFIG_B", b.kubeconfig());
        if let Some(image) = &agent_image {
            command.env("C7N_TEST_AGENT_IMAGE", image);
        }
        command
    })
    .await;
    a.stop().await?;
    b.stop().await?;
    if !real_node {
        eprintln!(
            "NOT RUN: what needs a real node (containers), since this machine has none; see the reason above"
        );
    }
    tested
}

async fn demo() -> Result<()> {
    run_program(
        "cargo xtask demo",
        cargo().args(["xtask", "demo", "--once", "--built"]),
    )
    .await
}
