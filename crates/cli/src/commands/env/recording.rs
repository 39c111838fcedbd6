use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;

use super::Global;

/// A server that sends nothing for so long is not waited for.
const SILENCE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
#[command(after_help = "Play it with `asciinema play FILE`.")]
pub struct Recording {
    name: String,
    /// As `c7n env sessions` shows it
    id: String,
    /// Write it into this file instead of to the standard output
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub async fn run(global: &Global, command: Recording) -> Result<()> {
    let path = [
        "projects",
        global.project()?,
        "environments",
        &command.name,
        "streams",
        &command.id,
        "recording",
    ];
    let answer = global.client()?.download(&path, &[]).await?;
    let mut out: Box<dyn Write> = match &command.file {
        Some(file) => Box::new(
            std::fs::File::create(file).with_context(|| format!("{} cannot be written", file.display()))?,
        ),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut bytes = answer.bytes_stream();
    while let Some(piece) = tokio::time::timeout(SILENCE, bytes.next())
        .await
        .context("the server went silent\n  next: try again")?
    {
        let piece = piece.context("the recording broke off\n  next: try again")?;
        out.write_all(&piece).context("the recording cannot be written")?;
    }
    out.flush().context("the recording cannot be written")
}
