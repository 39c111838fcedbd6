//! A chart's archive (`.tgz`) to what people and programs want to know of it.
//!
//! In: the bytes, from whoever sent them. Out: [`ChartArchive`], or an [`ArchiveError`] that names the file and the reason.
//! Never: a file on disk, a path that leaves the chart's folder, or more memory than the few files that are kept.
//! Charts inside the chart (`charts/`) are not opened.

mod budget;
mod error;
mod intake;
mod metadata;
mod tar;

use std::{collections::HashSet, io::BufReader, io::Read};

use c7n_manifests::Limits;
use flate2::bufread::MultiGzDecoder;

pub use budget::Budget;
pub use error::ArchiveError;
pub use metadata::{ApiVersion, ChartType, Dependency, Maintainer, Metadata, check_published_name};
pub(crate) use metadata::{MetadataFault, text as lenient_text};

use crate::{Digest, yaml};
use intake::Intake;
use tar::{Kind, Tar};

/// What an archive holds.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartArchive {
    pub metadata: Metadata,
    /// `values.yaml` as it is written, comments and all.
    pub values: Option<String>,
    /// `values.schema.json`
    pub schema: Option<String>,
    pub readme: Option<String>,
    /// Of the archive's own bytes.
    pub digest: Digest,
    /// Bytes of the archive.
    pub size: u64,
}

/// The files that are looked at; all others are passed over.
#[derive(Default)]
struct Kept {
    chart: Option<Vec<u8>>,
    requirements: Option<Vec<u8>>,
    values: Option<Vec<u8>>,
    schema: Option<Vec<u8>>,
    readme: Option<Vec<u8>>,
}

impl ChartArchive {
    pub fn from_bytes(bytes: &[u8], budget: &Budget) -> Result<Self, ArchiveError> {
        Self::read(bytes, budget)
    }

    /// Reads to the end. Blocks as long as the source does.
    pub fn read(source: impl Read, budget: &Budget) -> Result<Self, ArchiveError> {
        let mut source = Counted {
            inner: source,
            bytes: 0,
        };
        let mut intake = BufReader::with_capacity(64 << 10, Intake::new(&mut source, budget.compressed));
        let kept = unpack(&mut intake, budget)?;
        let digest = intake.into_inner().finish()?;
        let size = source.bytes;

        let metadata = read_metadata(&kept)?;
        Ok(Self {
            metadata,
            values: text("values.yaml", kept.values)?,
            schema: text("values.schema.json", kept.schema)?,
            readme: text("README.md", kept.readme)?,
            digest,
            size,
        })
    }
}

struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

fn unpack(intake: &mut BufReader<impl Read>, budget: &Budget) -> Result<Kept, ArchiveError> {
    use std::io::BufRead as _;

    let head = intake.fill_buf().map_err(|found| intake::error(&found))?;
    if !head.starts_with(&[0x1f, 0x8b, 0x08]) {
        return Err(ArchiveError::NotGzip);
    }
    let mut tar = Tar::new(MultiGzDecoder::new(intake), *budget);
    let mut top: Option<String> = None;
    let mut seen = HashSet::new();
    let mut kept = Kept::default();
    while let Some(entry) = tar.next()? {
        let inside = inside(&entry.path)?;
        match entry.kind {
            Kind::Special(what) => {
                return Err(ArchiveError::Special {
                    file: entry.path,
                    what,
                });
            }
            Kind::Folder if inside.path.is_none() => continue,
            Kind::File if inside.path.is_none() => {
                return Err(ArchiveError::Path {
                    file: entry.path,
                    reason: "stands beside the chart's folder",
                });
            }
            _ => {}
        }
        match &top {
            None => top = Some(inside.top.to_owned()),
            Some(top) if top == inside.top => {}
            Some(_) => {
                return Err(ArchiveError::Path {
                    file: entry.path,
                    reason: "is in a second top folder, and a chart has one",
                });
            }
        }
        let Some(path) = inside.path.filter(|_| entry.kind == Kind::File) else {
            continue;
        };
        if !seen.insert(path.to_owned()) {
            return Err(ArchiveError::Twice { file: entry.path });
        }
        let place = match path {
            "Chart.yaml" => &mut kept.chart,
            "requirements.yaml" => &mut kept.requirements,
            "values.yaml" => &mut kept.values,
            "values.schema.json" => &mut kept.schema,
            _ if path.eq_ignore_ascii_case("readme.md") => &mut kept.readme,
            _ => continue,
        };
        *place = Some(tar.content(&entry)?);
    }
    Ok(kept)
}

struct Inside<'a> {
    top: &'a str,
    /// Below the top folder; `None` for that folder itself.
    path: Option<&'a str>,
}

/// Takes a path apart, or says why it may not be in an archive.
fn inside(path: &str) -> Result<Inside<'_>, ArchiveError> {
    let refused = |reason| {
        Err(ArchiveError::Path {
            file: path.to_owned(),
            reason,
        })
    };
    if path.starts_with('/') {
        return refused("is an absolute path");
    }
    if path.contains('\\') {
        return refused("has a backslash in its path");
    }
    if path.chars().any(char::is_control) {
        return refused("has a control character in its path");
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    for part in path.split('/') {
        match part {
            ".." => return refused("leaves the chart's folder (`..`)"),
            "" | "." => return refused("has an empty part in its path"),
            _ => {}
        }
        // `C:` would be a drive where Windows unpacks it.
        if part.len() == 2 && part.ends_with(':') {
            return refused("names a drive");
        }
    }
    Ok(match path.split_once('/') {
        Some((top, path)) => Inside {
            top,
            path: Some(path),
        },
        None => Inside {
            top: path,
            path: None,
        },
    })
}

fn read_metadata(kept: &Kept) -> Result<Metadata, ArchiveError> {
    let chart = kept.chart.as_deref().ok_or(ArchiveError::NoChartYaml)?;
    let read = |file: &str, bytes| {
        yaml::document(file, bytes, &Limits::default()).map_err(|reason| ArchiveError::Yaml {
            file: file.to_owned(),
            reason,
        })
    };
    let wrong = |file: &str| {
        let file = file.to_owned();
        move |MetadataFault { field, reason }: MetadataFault| ArchiveError::Metadata { file, field, reason }
    };
    let mut metadata = Metadata::from_json(read("Chart.yaml", chart)?).map_err(wrong("Chart.yaml"))?;
    // Charts of the first version name their dependencies in a file of their own.
    if let (ApiVersion::V1, Some(requirements)) = (metadata.api_version, &kept.requirements) {
        let mut document = read("requirements.yaml", requirements)?;
        let dependencies = document
            .get_mut("dependencies")
            .map(serde_json::Value::take)
            .unwrap_or_default();
        metadata
            .add_dependencies(dependencies)
            .map_err(wrong("requirements.yaml"))?;
    }
    metadata.check().map_err(wrong("Chart.yaml"))?;
    Ok(metadata)
}

fn text(file: &str, bytes: Option<Vec<u8>>) -> Result<Option<String>, ArchiveError> {
    bytes
        .map(|bytes| {
            let text = String::from_utf8(bytes).map_err(|_| ArchiveError::NotText {
                file: file.to_owned(),
            })?;
            Ok(match text.strip_prefix('\u{feff}') {
                Some(rest) => rest.to_owned(),
                None => text,
            })
        })
        .transpose()
}
