//! Values of an instance: what they become, whether the chart takes them, how they go along to another version.

use c7n_api::{NewValues, ValueConflict};
use c7n_charts::values::{self, Conflict, SetKind};
use c7n_manifests::edit::{self, Edit};
use serde_json::{Map, Value};

use super::DeployError;
use crate::catalogue::{Facts, Known};

/// What errors call them.
const NAME: &str = "the values";

/// What somebody asked for, upon what is there. Empty, or with a line break at its end.
pub(super) fn changed(before: &str, new: &NewValues) -> Result<String, DeployError> {
    let text = new.values.as_deref().unwrap_or(before);
    let Value::Object(old) = values::parse_values(NAME, text)? else {
        return Ok(finished(text.to_owned()));
    };
    let mut wanted = old.clone();
    for expression in &new.set {
        values::set(&mut wanted, expression, SetKind::Typed)?;
    }
    for expression in &new.set_string {
        values::set(&mut wanted, expression, SetKind::Text)?;
    }
    if wanted == old {
        return Ok(finished(text.to_owned()));
    }
    if old.is_empty()
        && let Some(comments) = nothing_but_comments(text)
    {
        return Ok(format!("{comments}{}", edit::render(&Value::Object(wanted))));
    }
    let mut edits = Vec::new();
    differences(&old, &wanted, &mut Vec::new(), &mut edits);
    Ok(finished(edit::edit_document(NAME, text.as_bytes(), 0, &edits)?))
}

/// What stands before the first value, where there is none yet (or only `{}`).
fn nothing_but_comments(text: &str) -> Option<String> {
    let is_comment = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let empty = text.lines().filter(|line| !is_comment(line)).collect::<Vec<_>>();
    matches!(empty[..], [] | ["{}"]).then(|| {
        let comments = text.lines().filter(|line| is_comment(line));
        comments.map(|line| format!("{line}\n")).collect()
    })
}

/// Each key that has another value, as deep inside as can be, so that the least is written anew.
fn differences(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    path: &mut Vec<String>,
    edits: &mut Vec<Edit>,
) {
    for (key, value) in new {
        path.push(key.clone());
        match (old.get(key), value) {
            (Some(before), value) if before == value => {}
            (Some(Value::Object(before)), Value::Object(after)) if !before.is_empty() => {
                differences(before, after, path, edits);
            }
            _ => edits.push(Edit::Set {
                path: path.clone(),
                value: value.clone(),
            }),
        }
        path.pop();
    }
}

/// Whether the chart takes them, its defaults laid below.
pub(super) fn check(text: &str, chart: &Facts) -> Result<(), DeployError> {
    let mine = values::parse_values(NAME, text)?;
    let Known::Chart { defaults, schema } = &chart.known else {
        return Ok(());
    };
    let Some(schema) = schema else { return Ok(()) };
    let defaults = values::parse_values("the chart's values.yaml", defaults.as_deref().unwrap_or_default())?;
    Ok(values::check_schema(schema, &values::overlay(defaults, &mine))?)
}

/// Mine in the new version, and where somebody has to look. Of charts that are not known here nothing can be told.
pub(super) fn carried_over(
    old: &Facts,
    new: &Facts,
    mine: &str,
) -> Result<(String, Vec<ValueConflict>), DeployError> {
    let (Known::Chart { defaults: old, .. }, Known::Chart { defaults: new, .. }) = (&old.known, &new.known)
    else {
        return Ok((mine.to_owned(), Vec::new()));
    };
    let text = |defaults: &Option<String>| defaults.clone().unwrap_or_default();
    let merged = values::merge(&text(old), &text(new), mine)?;
    let conflicts = merged.conflicts.iter().map(conflict).collect();
    Ok((finished(merged.text), conflicts))
}

fn conflict(found: &Conflict) -> ValueConflict {
    ValueConflict {
        path: found.path.clone(),
        old_default: found.old.as_ref().map(edit::render),
        new_default: found.new.as_ref().map(edit::render),
        mine: Some(edit::render(&found.mine)),
        message: found.words(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with(before: &str, values: Option<&str>, set: &[&str], set_string: &[&str]) -> String {
        let own = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        let new = NewValues {
            values: values.map(str::to_owned),
            set: own(set),
            set_string: own(set_string),
        };
        changed(before, &new).unwrap()
    }

    #[test]
    fn what_is_said_last_counts_and_comments_stay() {
        assert_eq!(with("", None, &[], &[]), "");
        assert_eq!(with("a: 1", None, &[], &[]), "a: 1\n");
        assert_eq!(with("a: 1\n", Some("b: 2"), &[], &[]), "b: 2\n");
        assert_eq!(
            with("", None, &["a.b=1", "c=x"], &["d=1"]),
            "a:\n  b: 1\nc: x\nd: \"1\"\n"
        );
        assert_eq!(with("{}\n", None, &["a=1"], &[]), "a: 1\n");
        assert_eq!(
            with(
                "# why\na:\n  b: 1 # one\n  c: 2\n",
                None,
                &["a.b=3"],
                &["a.d=true"]
            ),
            "# why\na:\n  b: 3 # one\n  c: 2\n  d: \"true\"\n"
        );
        assert_eq!(with("# only this\n", None, &["a=1"], &[]), "# only this\na: 1\n");
    }

    #[test]
    fn what_cannot_be_set_is_told() {
        let set = |text: &str, set: &str| {
            let new = NewValues {
                values: Some(text.to_owned()),
                set: vec![set.to_owned()],
                set_string: Vec::new(),
            };
            changed("", &new).unwrap_err().to_string()
        };
        assert!(set("a: 1\n", "a[").contains("a["));
        assert!(set("- a\n", "a=1").contains("not a mapping"));
        assert!(set("# flow\na: {b: 1}\n", "a.b=2").contains(":2: `b` stands in flow style"));
    }
}
