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
mod streams;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Only fails when a provider is already installed, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = commands::Arguments::parse();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let outcome = runtime.block_on(commands::run(arguments));
            // Nobody waits for the name of a server that is looked up still.
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("c7n: {error:#}");
            ExitCode::from(1)
        }
    }
}
