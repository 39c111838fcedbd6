//! Reads an index: JSON or YAML, within a budget. One bad entry spoils only itself.

use c7n_manifests::Limits;
use serde::Deserialize;
use serde_json::Value;

use super::{DEFAULT_API_VERSION, Index, IndexEntry, IndexError, layout};
use crate::yaml;

/// What an index may cost. Public repositories have some of 20 MB and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexBudget {
    pub bytes: u64,
    /// Bytes that are parsed at once: one chart's versions, or the whole index where it cannot be cut into its charts.
    pub chart_bytes: u64,
    /// Values that are parsed at once.
    pub chart_values: usize,
}

impl Default for IndexBudget {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            chart_bytes: 16 << 20,
            chart_values: 1_000_000,
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
    /// All of it in memory; [`for_each_chart`] needs less.
    pub fn read(bytes: &[u8], budget: &IndexBudget) -> Result<Self, IndexError> {
        let mut index = Self::default();
        let head = for_each_chart(bytes, budget, |chart, versions| {
            index.entries.insert(chart, versions);
        })?;
        index.generated = head.generated;
        index.skipped = head.skipped;
        Ok(index)
    }
}

/// What an index says beside its charts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    pub generated: String,
    pub skipped: Vec<Skipped>,
}

/// Hands out one chart after the other, its versions newest first. No chart comes twice.
pub fn for_each_chart(
    bytes: &[u8],
    budget: &IndexBudget,
    take: impl FnMut(String, Vec<IndexEntry>),
) -> Result<Head, IndexError> {
    let size = bytes.len() as u64;
    if size > budget.bytes {
        return Err(IndexError::TooBig {
            size,
            limit: budget.bytes,
        });
    }
    let mut reader = Reader {
        budget,
        take,
        head: Head::default(),
        seen: std::collections::HashSet::new(),
    };
    let starts_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let layout = std::str::from_utf8(bytes)
        .ok()
        .filter(|_| !starts_json)
        .and_then(layout::cut);
    match layout {
        Some(layout) => {
            reader.head(
                reader
                    .parse(layout.head.as_bytes())
                    .map_err(IndexError::NotAnIndex)?,
            )?;
            for chart in layout.charts {
                reader.cut_chart(chart);
            }
        }
        None => reader.whole(bytes, starts_json)?,
    }
    Ok(reader.head)
}

struct Reader<'a, F> {
    budget: &'a IndexBudget,
    take: F,
    head: Head,
    seen: std::collections::HashSet<String>,
}

impl<F: FnMut(String, Vec<IndexEntry>)> Reader<'_, F> {
    fn parse(&self, bytes: &[u8]) -> Result<Value, String> {
        let limits = Limits {
            bytes: usize::try_from(self.budget.chart_bytes).unwrap_or(usize::MAX),
            nodes: self.budget.chart_values,
            ..Limits::default()
        };
        yaml::document("index.yaml", bytes, &limits)
    }

    fn whole(&mut self, bytes: &[u8], starts_json: bool) -> Result<(), IndexError> {
        let json = if starts_json && bytes.len() as u64 <= self.budget.chart_bytes {
            serde_json::from_slice(bytes).ok()
        } else {
            None
        };
        let mut document = match json {
            Some(document) => document,
            None => self.parse(bytes).map_err(IndexError::NotAnIndex)?,
        };
        let entries = match document.get_mut("entries").map(Value::take) {
            None | Some(Value::Null) => serde_json::Map::new(),
            Some(Value::Object(entries)) => entries,
            Some(_) => return Err(IndexError::NotAnIndex("its entries are not a mapping".to_owned())),
        };
        self.head(document)?;
        for (chart, versions) in entries {
            self.chart(chart, versions);
        }
        Ok(())
    }

    fn head(&mut self, document: Value) -> Result<(), IndexError> {
        let mut fields = match document {
            Value::Null => return Err(IndexError::Empty),
            Value::Object(fields) => fields,
            _ => return Err(IndexError::NotAnIndex("it is not a mapping of fields".to_owned())),
        };
        if !matches!(fields.get("apiVersion"), Some(Value::String(version)) if !version.is_empty()) {
            return Err(IndexError::NotAnIndex("it has no apiVersion".to_owned()));
        }
        if let Some(Value::String(generated)) = fields.remove("generated") {
            self.head.generated = generated;
        }
        Ok(())
    }

    fn cut_chart(&mut self, text: &str) {
        match self.parse(text.as_bytes()) {
            Ok(Value::Object(fields)) => {
                for (chart, versions) in fields {
                    self.chart(chart, versions);
                }
            }
            Ok(_) => self.skip(first_word(text), 0, "it is not a mapping".to_owned()),
            Err(reason) => self.skip(first_word(text), 0, reason),
        }
    }

    fn chart(&mut self, chart: String, versions: Value) {
        if self.seen.contains(&chart) {
            self.skip(&chart, 0, "it stands in the index twice".to_owned());
            return;
        }
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
            _ => {
                self.skip(&chart, 0, "its versions are not a list".to_owned());
                return;
            }
        }
        super::sort(&mut read);
        self.seen.insert(chart.clone());
        (self.take)(chart, read);
    }

    fn skip(&mut self, chart: &str, position: usize, reason: String) {
        if self.head.skipped.len() < MOST_SKIPPED {
            self.head.skipped.push(Skipped {
                chart: chart.chars().take(100).collect(),
                position,
                reason,
            });
        }
    }
}

fn first_word(text: &str) -> &str {
    text.trim_start().split(':').next().unwrap_or_default()
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
