//! Reads an index: JSON or YAML, within a budget. One bad entry spoils only itself.

use c7n_manifests::Limits;
use serde::Deserialize;
use serde_json::Value;

use super::{DEFAULT_API_VERSION, Index, IndexEntry, IndexError};
use crate::yaml;

/// Public repositories have indexes of 20 MB and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexBudget {
    pub bytes: u64,
    /// Values in the YAML.
    pub values: usize,
}

impl Default for IndexBudget {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            values: 8_000_000,
        }
    }
}

/// An entry that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub chart: String,
    /// Counted from 0, as it stands in the file.
    pub position: usize,
    pub reason: String,
}

/// More of them tell a person nothing new.
const MOST_SKIPPED: usize = 50;

impl Index {
    pub fn read(bytes: &[u8], budget: &IndexBudget) -> Result<Self, IndexError> {
        Self::read_some(bytes, budget, |_| true)
    }

    /// Only the charts that are wanted: the rest is not looked at.
    pub fn read_some(
        bytes: &[u8],
        budget: &IndexBudget,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Self, IndexError> {
        let size = bytes.len() as u64;
        if size > budget.bytes {
            return Err(IndexError::TooBig {
                size,
                limit: budget.bytes,
            });
        }
        let Value::Object(mut fields) = parse(bytes, budget)? else {
            return Err(IndexError::NotAnIndex("it is not a mapping of fields".to_owned()));
        };
        if !matches!(fields.get("apiVersion"), Some(Value::String(version)) if !version.is_empty()) {
            return Err(IndexError::NotAnIndex("it has no apiVersion".to_owned()));
        }
        let mut index = Self {
            generated: text(fields.remove("generated")),
            ..Self::default()
        };
        match fields.remove("entries") {
            None | Some(Value::Null) => {}
            Some(Value::Object(entries)) => {
                for (chart, versions) in entries {
                    if wanted(&chart) {
                        index.take(chart, versions);
                    }
                }
            }
            Some(_) => return Err(IndexError::NotAnIndex("its entries are not a mapping".to_owned())),
        }
        Ok(index)
    }

    fn take(&mut self, chart: String, versions: Value) {
        let mut read = Vec::new();
        match versions {
            Value::Null => {}
            Value::Array(versions) => {
                for (position, version) in versions.into_iter().enumerate() {
                    match entry(&chart, version) {
                        Ok(entry) => read.push(entry),
                        Err(reason) => self.skip(&chart, position, reason),
                    }
                }
            }
            _ => self.skip(&chart, 0, "its versions are not a list".to_owned()),
        }
        super::sort(&mut read);
        self.entries.insert(chart, read);
    }

    fn skip(&mut self, chart: &str, position: usize, reason: String) {
        if self.skipped.len() < MOST_SKIPPED {
            self.skipped.push(Skipped {
                chart: chart.to_owned(),
                position,
                reason,
            });
        }
    }
}

fn parse(bytes: &[u8], budget: &IndexBudget) -> Result<Value, IndexError> {
    let start = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if start == Some(&b'{')
        && let Ok(value) = serde_json::from_slice(bytes)
    {
        return Ok(value);
    }
    let limits = Limits {
        bytes: bytes.len(),
        nodes: budget.values,
        ..Limits::default()
    };
    match yaml::document("index.yaml", bytes, &limits) {
        Ok(Value::Null) => Err(IndexError::Empty),
        Ok(value) => Ok(value),
        Err(reason) => Err(IndexError::NotAnIndex(reason)),
    }
}

fn entry(chart: &str, mut version: Value) -> Result<IndexEntry, String> {
    let Value::Object(fields) = &mut version else {
        return Err("it is not a mapping of fields".to_owned());
    };
    if matches!(fields.get("apiVersion"), None | Some(Value::Null)) {
        fields.insert(
            "apiVersion".to_owned(),
            serde_json::to_value(DEFAULT_API_VERSION).unwrap_or_default(),
        );
    }
    for field in ["urls", "created", "digest", "removed"] {
        if matches!(fields.get(field), Some(Value::Null)) {
            fields.remove(field);
        }
    }
    let entry = IndexEntry::deserialize(version).map_err(|error| error.to_string())?;
    entry
        .metadata
        .check()
        .map_err(|fault| format!("{}: {}", fault.field, fault.reason))?;
    if entry.metadata.name != chart {
        return Err(format!("its name is `{}`", entry.metadata.name));
    }
    Ok(entry)
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::String(text)) => text,
        _ => String::new(),
    }
}
