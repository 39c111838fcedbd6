//! Charts for tests: the folders in `crates/testbed/charts`, packed as `helm package` would, and an index of them.
//!
//! The same folder gives the same bytes, so that digests can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

use c7n_pack::tar::Tar;

/// A chart's files before they are packed.
#[derive(Clone, Debug)]
pub struct ChartFolder {
    files: BTreeMap<String, Vec<u8>>,
}

/// A packed chart.
#[derive(Clone, Debug)]
pub struct ChartArchive {
    pub name: String,
    pub version: String,
    pub bytes: Vec<u8>,
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
        let now = self.field("version")?;
        let chart = self.chart_yaml()?.replacen(
            &format!("\nversion: {now}\n"),
            &format!("\nversion: {version}\n"),
            1,
        );
        Ok(self.with("Chart.yaml", chart))
    }

    /// The text of one of its files.
    pub fn file(&self, path: &str) -> Result<String> {
        let content = self
            .files
            .get(path)
            .with_context(|| format!("the chart has no {path}"))?;
        Ok(String::from_utf8(content.clone())?)
    }

    pub fn pack(&self) -> Result<ChartArchive> {
        let name = self.field("name")?;
        let mut tar = Tar::default();
        for (path, content) in &self.files {
            tar.file(&format!("{name}/{path}"), 0o644, content);
        }
        Ok(ChartArchive {
            version: self.field("version")?,
            bytes: gzip(&tar.finish())?,
            name,
        })
    }

    fn chart_yaml(&self) -> Result<String> {
        self.file("Chart.yaml")
    }

    /// A top-level scalar of Chart.yaml, as our fixtures write it.
    fn field(&self, key: &str) -> Result<String> {
        self.chart_yaml()?
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key}: ")))
            .map(|value| value.trim_matches('"').to_owned())
            .with_context(|| format!("Chart.yaml has no {key}"))
    }
}

impl ChartArchive {
    /// `NAME-VERSION.tgz`.
    pub fn file_name(&self) -> String {
        format!("{}-{}.tgz", self.name, self.version)
    }

    /// `sha256` in hexadecimal.
    pub fn digest(&self) -> String {
        Sha256::digest(&self.bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Writes the archive into a folder under its own name.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join(self.file_name());
        fs::write(&path, &self.bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// The `index.yaml` of a chart repository that serves these archives beside it.
pub fn index(archives: &[ChartArchive]) -> String {
    let mut entries: BTreeMap<&str, Vec<&ChartArchive>> = BTreeMap::new();
    for archive in archives {
        entries.entry(&archive.name).or_default().push(archive);
    }
    let mut text = "apiVersion: v1\ngenerated: \"2026-01-01T00:00:00Z\"\nentries:\n".to_owned();
    for (name, versions) in entries {
        text += &format!("  {name}:\n");
        for archive in versions {
            text += &format!(
                "  - apiVersion: v2\n    name: {name}\n    version: {}\n    created: \"2026-01-01T00:00:00Z\"\n    \
                 digest: {}\n    urls:\n    - {}\n",
                archive.version,
                archive.digest(),
                archive.file_name()
            );
        }
    }
    text
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

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    // No name and no time in the header.
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
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
        assert_eq!(first.bytes, chart.pack().unwrap().bytes);

        let next = chart.at_version("1.1.0").unwrap().pack().unwrap();
        assert_eq!(next.file_name(), "web-1.1.0.tgz");
        assert_ne!(first.digest(), next.digest());
    }

    #[test]
    fn the_systems_tar_unpacks_it() {
        let folder = tempfile::tempdir().unwrap();
        let archive = ChartFolder::fixture("umbrella").unwrap().pack().unwrap();
        let file = archive.write(folder.path()).unwrap();

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

    #[test]
    fn an_index_lists_versions_with_their_digests() {
        let chart = ChartFolder::fixture("web").unwrap();
        let archives = [
            chart.pack().unwrap(),
            chart.at_version("1.1.0").unwrap().pack().unwrap(),
        ];
        let index = index(&archives);
        assert_eq!(index.matches("\n  web:\n").count(), 1);
        assert!(index.contains(&format!("digest: {}", archives[1].digest())));
        assert!(index.contains("- web-1.1.0.tgz\n"));
    }
}
