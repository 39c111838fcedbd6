use anyhow::Result;

use super::Global;
use crate::output::{self, Format};

#[derive(clap::Args)]
pub struct Activation {
    name: String,
}

pub async fn run(global: &Global, activation: Activation) -> Result<()> {
    let project = global.project()?;
    let path = ["projects", project, "clusters", &activation.name, "activation"];
    let answer: c7n_api::Activation = global.client()?.post(&path, &()).await?;
    if global.output == Format::Table {
        eprintln!(
            "paste this into a shell that has access to the cluster; its token works for one agent, for a day:\n"
        );
        println!("{}", answer.command);
    } else {
        print!("{}", output::structured(global.output, &answer)?);
    }
    Ok(())
}
