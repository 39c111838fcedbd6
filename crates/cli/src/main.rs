//! `c7n`, the command line of the platform.
//!
//! Reads arguments, calls the REST API, prints. Data goes to standard output, everything else to standard error; the exit
//! status is 0 for success, 1 for an error, 2 for wrong usage, 3 for a wait that ran out of time and 4 for conflicts that
//! somebody has to decide.

mod client;
mod commands;
mod output;
mod settings;
mod stream;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Only fails when a provider is already installed, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match commands::run(commands::Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("c7n: {error:#}");
            ExitCode::from(1)
        }
    }
}
