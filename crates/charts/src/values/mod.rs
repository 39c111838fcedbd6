//! Values of a chart: its defaults, what people set over them, and what its schema says to the result.

mod merge;
mod overlay;
mod schema;
mod set;
mod steps;

use c7n_manifests::Limits;
use serde_json::Value;

pub use merge::{Conflict, ConflictKind, Merged, merge};
pub use overlay::overlay;
pub use schema::{SchemaFinding, check_schema};
pub use set::{SetKind, set};

use crate::yaml;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    #[error("{what} cannot be read: {reason}")]
    Yaml { what: String, reason: String },
    #[error("{what} is not a mapping of keys to values; write `key: value` lines")]
    NotAMapping { what: String },
    #[error("the chart's values.schema.json is not usable: {0}; its author must correct it")]
    Schema(String),
    #[error("the values do not fit the chart's schema: {}", list(.0))]
    Unfit(Vec<SchemaFinding>),
    #[error(
        "`{expression}`: {reason}; write it like a.b=1,c[0]=x, with `\\` before a comma, dot or equals sign that is meant as such"
    )]
    Set { expression: String, reason: String },
}

fn list(findings: &[SchemaFinding]) -> String {
    let words: Vec<String> = findings.iter().map(SchemaFinding::to_string).collect();
    words.join("; ")
}

/// Values as Helm reads them. An empty text is an empty mapping.
pub fn parse_values(what: &str, text: &str) -> Result<Value, ValuesError> {
    match yaml::document(what, text.as_bytes(), &Limits::default()) {
        Ok(Value::Null) => Ok(Value::Object(serde_json::Map::new())),
        Ok(values @ Value::Object(_)) => Ok(values),
        Ok(_) => Err(ValuesError::NotAMapping {
            what: what.to_owned(),
        }),
        Err(reason) => Err(ValuesError::Yaml {
            what: what.to_owned(),
            reason,
        }),
    }
}

/// One step of a path: `a`, or `"x.y"` in quotes where a dot is part of the name.
fn join(path: &str, key: &str) -> String {
    let is_plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "-_/".contains(c));
    let key = if is_plain {
        key.to_owned()
    } else {
        format!("{key:?}")
    };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}
