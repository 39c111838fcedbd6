//! Charts for tests: the folders in `crates/testbed/charts`, packed as `helm package` would.
//!
//! The same folder gives the same bytes, so that digests can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
pub use c7n_pack::chart::Packed;

/// A chart's files before they are packed.
#[derive(Clone, Debug)]
pub struct ChartFolder {
    files: BTreeMap<String, Vec<u8>>,
}

impl ChartFolder {
    /// One of the charts that come with the testbed, by the name of its folder.
    pub fn fixture(name: &str) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts").join(name);
        Self::read(&folder)
    }

    pub fn read(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        collect(folder, folder, &mut files)
            .with_context(|| format!("cannot read the chart {}", folder.display()))?;
        Ok(Self { files })
    }

    /// Adds a file or replaces it.
    #[must_use]
    pub fn with(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), content.into());
        self
    }

    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.files.remove(path);
        self
    }

    /// Another version of the same chart.
    pub fn at_version(self, version: &str) -> Result<Self> {
        let text = self.file("Chart.yaml")?;
        let lines = text.lines().map(|line| match line.strip_prefix("version:") {
            Some(_) => format!("version: {version}\n"),
            None => format!("{line}\n"),
        });
        let text: String = lines.collect();
        Ok(self.with("Chart.yaml", text))
    }

    /// The text of one of its files.
    pub fn file(&self, path: &str) -> Result<String> {
        let content = self
            .files
            .get(path)
            .with_context(|| format!("the chart has no {path}"))?;
        Ok(String::from_utf8(content.clone())?)
    }

    pub fn pack(&self) -> Result<Packed> {
        let files = self.files.iter();
        Ok(Packed::new(
            files.map(|(path, content)| (path.as_str(), content.as_slice())),
        )?)
    }
}

/// Writes an archive into a folder under its own name.
pub fn write(chart: &Packed, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(chart.file_name());
    fs::write(&path, &chart.archive).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root)?.to_str().context("a plain name")?;
            files.insert(name.to_owned(), fs::read(&path)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_same_chart_gives_the_same_bytes_and_a_changed_one_others() {
        let chart = ChartFolder::fixture("web").unwrap();
        let first = chart.pack().unwrap();
        assert_eq!((first.name.as_str(), first.version.as_str()), ("web", "1.0.0"));
        assert_eq!(first.archive, chart.pack().unwrap().archive);

        let next = chart.at_version("1.1.0").unwrap().pack().unwrap();
        assert_eq!(next.file_name(), "web-1.1.0.tgz");
        assert_ne!(first.digest(), next.digest());
    }

    #[test]
    fn the_systems_tar_unpacks_it() {
        let folder = tempfile::tempdir().unwrap();
        let archive = ChartFolder::fixture("umbrella").unwrap().pack().unwrap();
        let file = write(&archive, folder.path()).unwrap();

        let status = Command::new("tar")
            .arg("-xzf")
            .arg(file)
            .arg("-C")
            .arg(folder.path())
            .status()
            .unwrap();

        assert!(status.success());
        assert!(
            folder
                .path()
                .join("umbrella/charts/back/templates/config.yaml")
                .is_file()
        );
    }
}
