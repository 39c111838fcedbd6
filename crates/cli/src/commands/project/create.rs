use anyhow::Result;
use c7n_api::{NewProject, Project};

use super::Global;
use crate::output;

#[derive(clap::Args)]
#[command(
    after_help = "Example: a project whose environments may define custom resources
  c7n project create shop --allow CustomResourceDefinition.apiextensions.k8s.io"
)]
pub struct Create {
    name: String,
    /// A cluster-scoped kind that its environments may contain; may be repeated
    #[arg(long = "allow", value_name = "KIND.GROUP")]
    allowed_cluster_kinds: Vec<String>,
}

pub async fn run(global: &Global, create: Create) -> Result<()> {
    let body = NewProject {
        name: create.name,
        allowed_cluster_kinds: create.allowed_cluster_kinds,
    };
    let project: Project = global.client()?.post(&["projects"], &body).await?;
    output::print_one(global.output, &project)
}
