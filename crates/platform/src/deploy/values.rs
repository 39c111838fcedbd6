//! Values of an instance: what they become, whether the chart takes them, how they go along to another version.

use c7n_api::{NewValues, ValueConflict};
use c7n_manifests::edit::{self, Edit};
use c7n_manifests::{Limits, yaml_to_json};
use serde_json::Value;

use super::DeployError;
use crate::catalogue::{Facts, Known};

/// What somebody asked for, upon what is there. Empty, or with a line break at its end.
pub(super) fn changed(before: &str, new: &NewValues) -> Result<String, DeployError> {
    let mut text = new.values.clone().unwrap_or_else(|| before.to_owned());
    read(&text)?;
    for (settings, kind) in [(&new.set, Typed::AsYaml), (&new.set_string, Typed::AsText)] {
        for setting in settings {
            text = set(&text, setting, kind)?;
        }
    }
    Ok(finished(text))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Typed {
    AsYaml,
    AsText,
}

fn set(text: &str, setting: &str, _kind: Typed) -> Result<String, DeployError> {
    let _ = (text, Edit::set(&[], Value::Null), edit::edit_document);
    Err(DeployError::Values(format!("{setting}: not yet")))
}

pub(super) fn check(_values: &str, _chart: &Facts) -> Result<(), DeployError> {
    Ok(())
}

pub(super) fn carried_over(
    old: &Facts,
    new: &Facts,
    mine: &str,
) -> Result<(String, Vec<ValueConflict>), DeployError> {
    let (Known::Chart { .. }, Known::Chart { .. }) = (&old.known, &new.known) else {
        return Ok((mine.to_owned(), Vec::new()));
    };
    Ok((mine.to_owned(), Vec::new()))
}

/// A mapping, or nothing.
fn read(text: &str) -> Result<Value, DeployError> {
    let documents = yaml_to_json("values", text.as_bytes(), &Limits::default())
        .map_err(|faults| DeployError::Values(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    match documents.as_slice() {
        [] | [Value::Null] => Ok(Value::Object(serde_json::Map::new())),
        [value @ Value::Object(_)] => Ok(value.clone()),
        [_] => Err(DeployError::Values("values: this is no mapping; write keys with values".to_owned())),
        _ => Err(DeployError::Values("values: these are several documents; write one".to_owned())),
    }
}

fn finished(text: String) -> String {
    if text.trim().is_empty() {
        String::new()
    } else if text.ends_with('\n') {
        text
    } else {
        format!("{text}\n")
    }
}
