//! `c7n-server`: reads the flags, starts the platform, says where it is, and stops it on a signal.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use c7n_platform::config::LogFormat;
use c7n_platform::store::Addresses;
use c7n_platform::{Config, FirstRun, Platform, api};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(
    name = "c7n-server",
    version,
    about = "The platform server of c7n: continuous delivery to any number of Kubernetes clusters",
    after_help = "Examples:\n  \
        c7n-server\n      \
            everything in ./c7n-data, on loopback; the first start prints the administrator's password once\n  \
        c7n-server --listen 0.0.0.0:8080 --public-url https://c7n.example.com \\\n      \
            --ssh-listen 0.0.0.0:2222 --public-ssh-url ssh://git@c7n.example.com:2222\n      \
            behind an ingress that ends TLS\n  \
        c7n-server openapi > openapi.json\n      \
            the description of the REST API"
)]
struct Cli {
    #[command(flatten)]
    config: Config,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Print the OpenAPI description of the REST API and end
    Openapi,
    /// Give a user a new password, print it, and end; while the server is stopped
    ResetPassword { username: String },
}

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("c7n-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        Some(Command::Openapi) => println!("{}", api::document().to_pretty_json()?),
        Some(Command::ResetPassword { username }) => {
            println!(
                "{}",
                runtime.block_on(c7n_platform::reset_password(&cli.config, &username))?
            );
        }
        None => {
            log(&cli.config)?;
            runtime.block_on(run(&cli.config))?;
        }
    }
    Ok(())
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (platform, first_run) = Platform::start(config).await?;
    say(&platform.addresses(), first_run.as_ref()).context("standard output is closed")?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    platform.stop().await;
    Ok(())
}

/// For people, and line by line for programs: `NAME=VALUE` after the first word.
fn say(addresses: &Addresses, first_run: Option<&FirstRun>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if let Some(FirstRun {
        username,
        password,
        token,
    }) = first_run
    {
        writeln!(
            out,
            "This is the first start. Keep these, they are not shown again:"
        )?;
        writeln!(out, "first-run username={username}")?;
        writeln!(out, "first-run password={password}")?;
        writeln!(out, "first-run token={token}")?;
    }
    writeln!(out, "ready url={} ssh_url={}", addresses.http, addresses.ssh)?;
    out.flush()
}

fn log(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log).with_context(|| {
        format!(
            "--log {:?} is no filter; try `info` or `c7n_platform=debug,info`",
            config.log
        )
    })?;
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match (config.log_format, terminal) {
        (Some(LogFormat::Json), _) | (None, false) => builder.json().init(),
        (Some(LogFormat::Text), _) | (None, true) => builder.with_ansi(terminal).init(),
    }
    Ok(())
}
