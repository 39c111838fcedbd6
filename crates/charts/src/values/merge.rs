//! What a new version of a chart means for the values that somebody set over the old one.
//!
//! Helm keeps nothing but what is set, and lays it over whatever defaults the chart has. So mine always stay as they are written, comments
//! and order included: the merge is in knowing where that is no longer what was meant. Each such place is a [`Conflict`] for a person
//! to look at.

use std::fmt;

use serde_json::Value;

use super::{ValuesError, join, parse_values};

/// Values for the new version.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// Mine, byte for byte.
    pub text: String,
    /// In the order of their paths.
    pub conflicts: Vec<Conflict>,
}

/// A place to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// `image.tag`
    pub path: String,
    pub kind: ConflictKind,
    /// `None` where the chart has no such key.
    pub old: Option<Value>,
    pub new: Option<Value>,
    pub mine: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictKind {
    /// Mine says what the default said, and the default has changed: perhaps it was only copied.
    CopiedDefault,
    /// The default has changed, and mine is neither the old nor the new one.
    BothChanged,
    /// The defaults have the key no longer; what is set there may have no effect.
    Gone,
    /// The chart has the key now and had it not before; what is set there takes effect.
    Appeared,
    /// The chart expects something of another type.
    TypeChanged,
}

impl Conflict {
    /// What happened and what to do, without repeating values, which may be secrets.
    pub fn words(&self) -> String {
        let path = &self.path;
        match self.kind {
            ConflictKind::CopiedDefault => format!(
                "`{path}` is set to what was the default, and the default has changed; yours is kept. Remove the line to follow the chart"
            ),
            ConflictKind::BothChanged => {
                format!(
                    "`{path}` is set by you, and its default has changed as well; yours is kept. See whether it still fits"
                )
            }
            ConflictKind::Gone => {
                format!(
                    "`{path}` is set by you, and the new version's defaults have no such key; it may have no effect any more. See what took its place"
                )
            }
            ConflictKind::Appeared => {
                format!(
                    "`{path}` is set by you, and the new version begins to use it; see whether its default is meant"
                )
            }
            ConflictKind::TypeChanged => format!(
                "`{path}` is {} in the new version and was {}; yours is {}. Write it anew",
                describe(self.new.as_ref()),
                describe(self.old.as_ref()),
                describe(Some(&self.mine))
            ),
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())
    }
}

/// Compares the old chart's defaults, the new one's and mine. A chart without `values.yaml` has no defaults.
pub fn merge(old: &str, new: &str, mine: &str) -> Result<Merged, ValuesError> {
    let old = parse_values("the old chart's values.yaml", old)?;
    let new = parse_values("the new chart's values.yaml", new)?;
    let values = parse_values("the values", mine)?;
    let mut conflicts = Vec::new();
    walk("", Some(&old), Some(&new), &values, &mut conflicts);
    Ok(Merged {
        text: mine.to_owned(),
        conflicts,
    })
}

fn walk<'a>(
    path: &str,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    mine: &Value,
    conflicts: &mut Vec<Conflict>,
) {
    let mut found = |kind| {
        conflicts.push(Conflict {
            path: path.to_owned(),
            kind,
            old: old.cloned(),
            new: new.cloned(),
            mine: mine.clone(),
        });
    };
    match (old, new) {
        // A key of my own, as in a mapping of annotations.
        (None, None) => return,
        (Some(_), None) => return found(ConflictKind::Gone),
        (Some(old), Some(new)) if differ(old, new) => return found(ConflictKind::TypeChanged),
        (None, Some(new)) if differ(mine, new) => return found(ConflictKind::TypeChanged),
        _ => {}
    }
    if let (Value::Object(fields), None | Some(Value::Object(_) | Value::Null), Some(Value::Object(_))) =
        (mine, old, new)
    {
        for (key, value) in fields {
            let inside = |defaults: Option<&'a Value>| defaults.and_then(|defaults| defaults.get(key));
            walk(&join(path, key), inside(old), inside(new), value, conflicts);
        }
        return;
    }
    if old == new || new == Some(mine) {
        return;
    }
    match old {
        None => found(ConflictKind::Appeared),
        Some(old) if old == mine => found(ConflictKind::CopiedDefault),
        Some(_) => found(ConflictKind::BothChanged),
    }
}

/// Whether two values are of different types. An empty one (`null`) says nothing about its type.
fn differ(one: &Value, other: &Value) -> bool {
    !one.is_null() && !other.is_null() && std::mem::discriminant(one) != std::mem::discriminant(other)
}

fn describe(value: Option<&Value>) -> &'static str {
    match value {
        None => "not there",
        Some(Value::Null) => "empty",
        Some(Value::Bool(_)) => "true or false",
        Some(Value::Number(_)) => "a number",
        Some(Value::String(_)) => "text",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "a mapping",
    }
}
