use anyhow::Result;
use c7n_api::{App, AppVersionDetails};

use super::Global;
use crate::output::{self, Format};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  c7n app show -p shop web
  c7n app show -p shop web 1.2.0 > values.yaml     the default values of a version, to be changed and deployed with")]
pub struct Show {
    name: String,
    /// A version, exactly as `c7n app versions` lists it: its default values are printed
    version: Option<String>,
    /// Print the version's README instead
    #[arg(long, requires = "version", conflicts_with = "schema")]
    readme: bool,
    /// Print the version's schema of values instead
    #[arg(long, requires = "version")]
    schema: bool,
}

pub async fn run(global: &Global, show: Show) -> Result<()> {
    let client = global.client()?;
    let path = ["projects", global.project()?, "apps", &show.name];
    let Some(version) = &show.version else {
        let app: App = client.get(&path, &[]).await?;
        return output::print_one(global.output, &app);
    };
    let path = [path.as_slice(), &["versions", version]].concat();
    let details: AppVersionDetails = client.get(&path, &[]).await?;
    if global.output != Format::Table {
        print!("{}", output::structured(global.output, &details)?);
        return Ok(());
    }
    let (what, text) = match (show.readme, show.schema) {
        (true, _) => ("README", details.readme),
        (_, true) => ("schema", details.schema),
        _ => ("default values", details.values),
    };
    match text {
        Some(text) => print!("{text}"),
        None => eprintln!("{} {version} has no {what}", show.name),
    }
    Ok(())
}
