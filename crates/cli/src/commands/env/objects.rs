use anyhow::Result;
use c7n_api::LiveObject;

use super::{Global, tree};
use crate::output::{self, Format};

#[derive(clap::Args)]
pub struct Objects {
    name: String,
}

pub async fn run(global: &Global, objects: Objects) -> Result<()> {
    let path = [
        "projects",
        global.project()?,
        "environments",
        &objects.name,
        "objects",
    ];
    let live: Vec<LiveObject> = global.client()?.pages(&path).await?;
    match global.output {
        Format::Table if live.is_empty() => eprintln!("no objects yet"),
        Format::Table => print!("{}", tree::render(&live)),
        format => print!("{}", output::structured(format, &live)?),
    }
    Ok(())
}
