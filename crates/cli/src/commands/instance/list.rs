use anyhow::Result;
use c7n_api::{Instance, Instances};

use super::{Global, InEnvironment, vital_cells};
use crate::output::{self, Format, Row};

#[derive(clap::Args)]
#[command(after_help = "Example:
  c7n instance list -p shop -e staging")]
pub struct List {
    #[command(flatten)]
    place: InEnvironment,
}

pub async fn run(global: &Global, list: List) -> Result<()> {
    let found: Instances = global.client()?.get(&list.place.path(global)?, &[]).await?;
    match global.output {
        Format::Table if found.instances.is_empty() && found.environment.objects == 0 => {
            eprintln!("nothing here yet")
        }
        Format::Table => print!("{}", render(&found)),
        format => print!("{}", output::structured(format, &found)?),
    }
    Ok(())
}

/// Below the instances, what belongs to none of them.
fn render(found: &Instances) -> String {
    let mut rows: Vec<Vec<String>> = found.instances.iter().map(Row::cells).collect();
    if found.environment.objects > 0 {
        let mut cells = vec!["(environment)".to_owned()];
        cells.resize(5, "-".to_owned());
        cells.extend(vital_cells(&found.environment));
        rows.push(cells);
    }
    output::table(Instance::HEAD, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::instance::tests::instance;

    #[test]
    fn a_list_says_why() {
        let found = Instances {
            instances: vec![
                instance("api", None),
                instance("web", Some("Pod web-1-a: container web crashes with exit code 1")),
            ],
            environment: instance("", None).vitals,
        };
        insta::assert_snapshot!(render(&found));
    }
}
