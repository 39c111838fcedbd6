use anyhow::Result;
use c7n_api::{Branch, LiveObject, ObjectTree};

use super::{Global, tree};
use crate::client::Client;
use crate::output::{self, Format};

#[derive(clap::Args)]
pub struct Objects {
    name: String,
    /// Show Kubernetes events too
    #[arg(long)]
    events: bool,
}

pub async fn run(global: &Global, objects: Objects) -> Result<()> {
    let client = global.client()?;
    let base = ["projects", global.project()?, "environments", &objects.name];
    if global.output == Format::Table && !objects.events {
        let all: ObjectTree = client.get(&[&base[..], &["tree"]].concat(), &[]).await?;
        if all.instances.is_empty() && all.own.is_empty() {
            eprintln!("no objects yet");
        } else {
            print!("{}", tree::render_by_instance(&all));
        }
        return Ok(());
    }
    let mut live: Vec<LiveObject> = client.pages(&[&base[..], &["objects"]].concat()).await?;
    if !objects.events {
        live.retain(|object| object.kind != "Event");
    }
    match global.output {
        Format::Table => print!("{}", with_events(&client, &base, live).await?),
        format => print!("{}", output::structured(format, &live)?),
    }
    Ok(())
}

async fn with_events(client: &Client, base: &[&str], live: Vec<LiveObject>) -> Result<String> {
    let mut all: ObjectTree = client.get(&[base, &["tree"]].concat(), &[]).await?;
    let events = live.into_iter().filter(|object| object.kind == "Event");
    all.own.extend(events.map(|object| Branch {
        object,
        owned: Vec::new(),
    }));
    Ok(tree::render_by_instance(&all))
}
