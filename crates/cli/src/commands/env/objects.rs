use anyhow::Result;
use c7n_api::LiveObject;

use super::{Global, tree};
use crate::output::{self, Format};

#[derive(clap::Args)]
pub struct Objects {
    name: String,
    /// Show Kubernetes events too
    #[arg(long)]
    events: bool,
}

pub async fn run(global: &Global, objects: Objects) -> Result<()> {
    let path = [
        "projects",
        global.project()?,
        "environments",
        &objects.name,
        "objects",
    ];
    let mut live: Vec<LiveObject> = global.client()?.pages(&path).await?;
    if !objects.events {
        live.retain(|object| object.kind != "Event");
    }
    match global.output {
        Format::Table if live.is_empty() => eprintln!("no objects yet"),
        Format::Table => print!("{}", tree::render(&live)),
        format => print!("{}", output::structured(format, &live)?),
    }
    Ok(())
}
