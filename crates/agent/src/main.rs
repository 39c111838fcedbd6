//! Starts the agent: settings, log, TLS, signals.

use std::path::PathBuf;

use anyhow::Context;
use c7n_agent::config::{Config, LogFormat, Token};
use c7n_agent::health::{Probe, ask};
use c7n_agent::session::{DialError, Door};
use c7n_agent::start::start;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("probe") {
        return probe();
    }
    if std::env::args().nth(1).as_deref() == Some("reach") {
        return reach();
    }
    let config = Config::parse();
    start_log(config.log_format);
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another TLS provider was installed before"))?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    let outcome = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let serving = Box::pin(start(config, shutdown.clone()));
        let asked_to_stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            shutdown.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            outcome = serving => outcome,
            () = asked_to_stop => Ok(()),
        }
    });
    // A git program or a disk that hangs must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    outcome
}

/// What `c7n cluster doctor --in-cluster` runs in a pod: is the platform reached from there?
fn reach() -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let reach = Reach::parse_from(std::env::args().skip(1));
    let door = Door::new(&reach.connect, reach.ca_file.as_deref(), 1 << 20)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    // Nobody's token: to be turned away by the platform itself is to have reached it.
    match runtime.block_on(door.probe(&Token::new("nobody"))) {
        Ok(()) | Err(DialError::TokenRefused { .. }) => {
            println!("the platform is reached at {}", reach.connect);
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Try to reach the platform, and end
#[derive(Parser)]
#[command(name = "c7n-agent reach")]
struct Reach {
    /// WebSocket URL of the platform
    #[arg(long, value_name = "URL")]
    connect: String,
    /// File with the certificate authorities that vouch for the platform, in PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// What a probe of the pod runs: the words on standard output, or an error.
fn probe() -> anyhow::Result<()> {
    let probe = Probe::parse_from(std::env::args().skip(1));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    println!("{}", runtime.block_on(ask(probe))?);
    Ok(())
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .with_env_var("C7N_LOG")
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}
