//! One figure beside its floor: the same work by the plainest client, in the same run, taking turns.
//!
//! The programs measured are the ones in the same target folder; the last line printed is one JSON object.

mod figures;
mod p1;
mod p10;
mod p12;
mod p8;
mod stage;
mod usage;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};

#[derive(Parser)]
struct Arguments {
    name: Name,
    #[arg(long)]
    kubeconfig: PathBuf,
    #[arg(long)]
    rounds: Option<usize>,
    #[command(flatten)]
    streams: p8::Wanted,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Push to applied, one file of 1,000 changed
    P1,
    /// Exec and logs, beside `kubectl`
    P8,
    /// 100 Helm releases by the engine and through the whole product, beside `helm` by hand
    P10,
    /// First environment from nothing: `create` to first commit applied
    P12,
}

#[tokio::main]
async fn main() -> Result<()> {
    // Only fails when a provider is already installed, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = Arguments::parse();
    let result = match arguments.name {
        Name::P1 => p1::run(&arguments.kubeconfig, arguments.rounds.unwrap_or(100)).await?,
        Name::P8 => {
            let rounds = arguments.rounds.unwrap_or(2000);
            p8::run(&arguments.kubeconfig, rounds, &arguments.streams).await?
        }
        Name::P10 => p10::run(&arguments.kubeconfig, arguments.rounds.unwrap_or(100)).await?,
        Name::P12 => p12::run(&arguments.kubeconfig, arguments.rounds.unwrap_or(10)).await?,
    };
    println!("{result}");
    Ok(())
}
