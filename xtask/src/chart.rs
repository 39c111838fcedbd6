//! `cargo xtask chart`: packs the charts as `helm package` does, but the same bytes each time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use c7n_pack::chart::{self, Packed};
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
        .map(|chart| pack(chart).with_context(|| chart.display().to_string()))
        .collect::<Result<Vec<_>>>()?;
    fs::create_dir_all(&arguments.into)?;
    for chart in &charts {
        let place = arguments.into.join(chart.file_name());
        fs::write(&place, &chart.archive)?;
        println!(
            "{}  {} bytes  sha256:{}",
            place.display(),
            chart.archive.len(),
            c7n_pack::sha256(&chart.archive)
        );
    }
    let index = arguments.into.join("index.yaml");
    fs::write(&index, chart::index(&charts.iter().collect::<Vec<_>>()))?;
    println!("{}", index.display());
    Ok(())
}

fn pack(folder: &Path) -> Result<Packed> {
    let mut files = Vec::new();
    list(folder, folder, &mut files)?;
    let files = files
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_slice()));
    Ok(Packed::new(files)?)
}

fn list(root: &Path, folder: &Path, files: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
            files.push((name, fs::read(&path)?));
        }
    }
    Ok(())
}
