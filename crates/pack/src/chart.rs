//! A Helm chart as an archive, and the index of a repository that holds it.
//!
//! In: the files of a chart's folder. Out: `NAME-VERSION.tgz` as `helm package` would make it, but the same each time;
//! `index.yaml` (<https://helm.sh/docs/topics/chart_repository/>).

use std::collections::BTreeMap;

use crate::gzip::{Effort, gzip};
use crate::sha256;
use crate::tar::Tar;

/// An archive does not know when it was made, and an index must say something.
const CREATED: &str = "2020-01-01T00:00:00Z";

#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    #[error("the chart has no Chart.yaml")]
    NoDefinition,
    #[error("Chart.yaml says no {0} at the beginning of a line")]
    Missing(&'static str),
}

/// A chart that is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    pub name: String,
    pub version: String,
    /// The text of `Chart.yaml`.
    pub definition: String,
    pub archive: Vec<u8>,
}

impl Packed {
    /// `files`: paths below the chart's folder, with `/`.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, ChartError> {
        let files: BTreeMap<&str, &[u8]> = files.into_iter().collect();
        let definition = files
            .get("Chart.yaml")
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .ok_or(ChartError::NoDefinition)?;
        let name = field(&definition, "name")?;
        let version = field(&definition, "version")?;
        let ignored = files
            .get(".helmignore")
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let ignored = Ignored(ignored.unwrap_or_default());

        let mut tar = Tar::default();
        // Helm reads the definition first, wherever it is; people look for it at the top.
        let first = files.iter().filter(|(path, _)| **path == "Chart.yaml");
        let rest = files.iter().filter(|(path, _)| **path != "Chart.yaml");
        for (path, bytes) in first.chain(rest) {
            if !ignored.matches(path) {
                tar.file(&format!("{name}/{path}"), 0o644, bytes);
            }
        }
        Ok(Self {
            archive: gzip(&tar.finish(), Effort::Best),
            name,
            version,
            definition,
        })
    }

    pub fn file_name(&self) -> String {
        format!("{}-{}.tgz", self.name, self.version)
    }

    /// SHA-256 of the archive, in hexadecimal.
    pub fn digest(&self) -> String {
        sha256(&self.archive)
    }
}

/// The index of a repository that holds these charts beside it; versions of one chart stay in the order they come in.
pub fn index<'a>(charts: impl IntoIterator<Item = &'a Packed>) -> String {
    let mut entries: BTreeMap<&str, Vec<&Packed>> = BTreeMap::new();
    for chart in charts {
        entries.entry(&chart.name).or_default().push(chart);
    }
    let mut text = format!("apiVersion: v1\ngenerated: {CREATED:?}\nentries:\n");
    for (name, versions) in entries {
        text.push_str(&format!("  {name}:\n"));
        for version in versions {
            text.push_str(&entry(version));
        }
    }
    text
}

fn entry(chart: &Packed) -> String {
    let mut text = String::new();
    let mut lead = "  - ";
    // A block mapping stays one when all its lines move to the right.
    for line in chart.definition.lines().filter(|line| !line.trim().is_empty()) {
        text.push_str(&format!("{lead}{line}\n"));
        lead = "    ";
    }
    text.push_str(&format!(
        "    created: {CREATED:?}\n    digest: {}\n    urls:\n      - {}\n",
        chart.digest(),
        chart.file_name()
    ));
    text
}

fn field(definition: &str, name: &'static str) -> Result<String, ChartError> {
    definition
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(|value| value.trim().trim_matches('"').to_owned())
        .filter(|value| !value.is_empty())
        .ok_or(ChartError::Missing(name))
}

/// The little of `.helmignore` that our charts use: a name, `FOLDER/`, `*END`.
struct Ignored(String);

impl Ignored {
    fn matches(&self, path: &str) -> bool {
        let rules = self.0.lines().map(str::trim);
        rules
            .filter(|rule| !rule.is_empty() && !rule.starts_with('#'))
            .any(|rule| {
                let name = path.rsplit('/').next().unwrap_or(path);
                match (rule.strip_suffix('/'), rule.strip_prefix('*')) {
                    (Some(folder), _) => path.split('/').rev().skip(1).any(|part| part == folder),
                    (None, Some(end)) => name.ends_with(end),
                    (None, None) => name == rule,
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFINITION: &[u8] =
        b"apiVersion: v2\nname: web\n# why\nversion: 1.2.3\nannotations:\n  licenses: Apache-2.0\n";

    fn files() -> Vec<(&'static str, &'static [u8])> {
        vec![
            ("values.yaml", b"a: 1\n"),
            ("templates/web.yaml", b"kind: Service\n"),
            ("ci/test-values.yaml", b""),
            (".helmignore", b"# note\nci/\n.helmignore\n*.bak\n"),
            ("templates/web.bak", b"old"),
            ("Chart.yaml", DEFINITION),
        ]
    }

    #[test]
    fn the_order_of_files_leaves_no_trace_and_what_is_ignored_stays_out() {
        let packed = Packed::new(files()).unwrap();
        assert_eq!(packed, Packed::new(files().into_iter().rev()).unwrap());
        assert_eq!(packed.file_name(), "web-1.2.3.tgz");

        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.tgz");
        std::fs::write(&archive, &packed.archive).unwrap();
        let listed = std::process::Command::new("tar")
            .arg("-tzf")
            .arg(&archive)
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&listed.stdout)
                .lines()
                .collect::<Vec<_>>(),
            ["web/Chart.yaml", "web/templates/web.yaml", "web/values.yaml"]
        );
    }

    #[test]
    fn the_index_holds_the_definition_and_the_digest() {
        let packed = Packed::new(files()).unwrap();
        let text = index([&packed]);
        assert_eq!(
            text,
            format!(
                "apiVersion: v1\ngenerated: \"2020-01-01T00:00:00Z\"\nentries:\n  web:\n  - apiVersion: v2\n    name: web\n    \
                 # why\n    version: 1.2.3\n    annotations:\n      licenses: Apache-2.0\n    created: \"2020-01-01T00:00:00Z\"\n    \
                 digest: {}\n    urls:\n      - web-1.2.3.tgz\n",
                sha256(&packed.archive)
            )
        );
    }

    #[test]
    fn versions_of_a_chart_stand_below_one_name() {
        let packed = |name: &str, version: &str| {
            let definition = format!("name: {name}\nversion: {version}\n");
            Packed::new([("Chart.yaml", definition.as_bytes())]).unwrap()
        };
        let charts = [
            packed("web", "2.0.0"),
            packed("api", "1.0.0"),
            packed("web", "1.0.0"),
        ];
        let text = index(&charts);
        let told: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| line.ends_with(".tgz") || matches!(*line, "web:" | "api:"))
            .collect();
        assert_eq!(
            told,
            [
                "api:",
                "- api-1.0.0.tgz",
                "web:",
                "- web-2.0.0.tgz",
                "- web-1.0.0.tgz"
            ]
        );
    }

    #[test]
    fn a_folder_that_is_no_chart_is_refused() {
        assert!(matches!(Packed::new([]), Err(ChartError::NoDefinition)));
        let nameless: [(&str, &[u8]); 1] = [("Chart.yaml", b"version: 1.0.0\n")];
        assert!(matches!(Packed::new(nameless), Err(ChartError::Missing("name"))));
    }
}
