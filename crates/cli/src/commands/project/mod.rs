mod create;
mod delete;
mod list;

use anyhow::Result;
use clap::Subcommand;

use super::Global;
use crate::output::{Row, age};

#[derive(Subcommand)]
pub enum Project {
    /// Create a project
    Create(create::Create),
    /// List the projects that you can see
    List,
    /// Delete a project that has no clusters and no environments
    Delete(delete::Delete),
}

pub async fn run(global: &Global, command: Project) -> Result<()> {
    match command {
        Project::Create(command) => create::run(global, command).await,
        Project::List => list::run(global).await,
        Project::Delete(command) => delete::run(global, command).await,
    }
}

impl Row for c7n_api::Project {
    const HEAD: &'static [&'static str] = &["NAME", "CLUSTER-SCOPED KINDS ALLOWED", "AGE"];
    fn cells(&self) -> Vec<String> {
        let kinds = if self.allowed_cluster_kinds.is_empty() {
            "none".to_owned()
        } else {
            self.allowed_cluster_kinds.join(", ")
        };
        vec![self.name.clone(), kinds, age(self.created_ms)]
    }
}
