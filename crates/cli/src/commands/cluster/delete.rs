use anyhow::Result;
use c7n_api::Forgotten;

use super::Global;
use crate::commands::{confirm, forgotten};

#[derive(clap::Args)]
pub struct Delete {
    name: String,
    /// With all its environments and without the agent, for a cluster that will not come back: what is in it stays as it is
    #[arg(long)]
    forget: bool,
}

pub async fn run(global: &Global, delete: Delete) -> Result<()> {
    let project = global.project()?;
    let path = ["projects", project, "clusters", &delete.name];
    let name = &delete.name;
    if delete.forget {
        confirm(
            global,
            &format!(
                "forget cluster {name} of {project}, and delete its environments' repositories (what is in the cluster stays)"
            ),
        )?;
        let left: Forgotten = global
            .client()?
            .delete_and_hear(&path, &[("forget", "true")])
            .await?;
        eprintln!("cluster {name} is forgotten; its agent is refused from now on");
        return forgotten::print(global, &left);
    }
    confirm(global, &format!("delete cluster {name} of {project}"))?;
    global.client()?.delete(&path, &[]).await?;
    eprintln!("cluster {name} is deleted; its agent is refused from now on");
    Ok(())
}
