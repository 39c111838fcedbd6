//! `cargo xtask chart`: packs the charts as `helm package` does, but the same bytes each time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use c7n_pack::chart;
use c7n_testbed::stack::charts::{ChartFolder, write};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  cargo xtask chart                     into target/charts, with an index
  cargo xtask chart --into /srv/charts  what lies there can be served as a chart repository";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Folder for the archives and their index
    #[arg(long, value_name = "FOLDER", default_value = "target/charts")]
    into: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts");
    let mut names: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    names.sort();
    let charts = names
        .iter()
        .map(|chart| {
            ChartFolder::read(chart)?
                .pack()
                .with_context(|| chart.display().to_string())
        })
        .collect::<Result<Vec<_>>>()?;
    fs::create_dir_all(&arguments.into)?;
    for chart in &charts {
        let place = write(chart, &arguments.into)?;
        println!(
            "{}  {} bytes  sha256:{}",
            place.display(),
            chart.archive.len(),
            chart.digest()
        );
    }
    let index = arguments.into.join("index.yaml");
    fs::write(&index, chart::index(&charts))?;
    println!("{}", index.display());
    Ok(())
}
