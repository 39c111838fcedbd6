//! YAML of charts, read as Helm reads it; and the little YAML that is written here.

use c7n_manifests::{Limits, yaml_to_json};
use serde_json::Value;

/// The first document as JSON, `null` for an empty text. Helm reads no further either.
pub(crate) fn document(path: &str, bytes: &[u8], limits: &Limits) -> Result<Value, String> {
    match yaml_to_json(path, bytes, limits) {
        Ok(documents) => Ok(documents.into_iter().next().unwrap_or_default()),
        Err(findings) => Err(findings.first().map_or_else(
            || "not valid YAML".to_owned(),
            |finding| format!("line {}: {}", finding.line, finding.message),
        )),
    }
}

/// Writes a mapping or list as block YAML, keys in order, lists not indented, as Helm's files look.
pub(crate) fn write(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0);
    text
}

fn block(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                pad(text, indent);
                text.push_str(&scalar(key));
                text.push(':');
                after(text, value, indent, indent);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                pad(text, indent);
                text.push('-');
                match item {
                    Value::Object(fields) if !fields.is_empty() => {
                        // The first key stands beside the dash, the others below it.
                        let mut inner = String::new();
                        block(&mut inner, item, indent + 2);
                        text.push(' ');
                        text.push_str(inner.trim_start_matches(' '));
                    }
                    _ => after(text, item, indent, indent + 2),
                }
            }
        }
        other => {
            pad(text, indent);
            text.push_str(&inline(other));
            text.push('\n');
        }
    }
}

fn after(text: &mut String, value: &Value, list_indent: usize, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            text.push('\n');
            block(text, value, indent + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(text, value, list_indent.max(indent));
        }
        other => {
            text.push(' ');
            text.push_str(&inline(other));
            text.push('\n');
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        // Empty containers and the other scalars are the same in both languages.
        other => other.to_string(),
    }
}

/// Bare where no reader could take it for anything but this text; else in double quotes, as JSON writes it.
fn scalar(text: &str) -> String {
    let bare = text
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b" ./_-+@(),:;".contains(&byte))
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    if bare {
        text.to_owned()
    } else {
        // U+0085, U+2028 and U+2029 end a line in YAML, and JSON leaves them as they are.
        let quoted = Value::from(text).to_string();
        quoted
            .replace('\u{7f}', "\\u007f")
            .replace('\u{85}', "\\u0085")
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029")
            .replace('\u{feff}', "\\ufeff")
    }
}

/// What YAML 1.1 takes for a boolean or nothing.
const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf"];

fn pad(text: &mut String, indent: usize) {
    text.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ -~\u{85}\u{a0}-\u{ff}\u{2028}\n\t]{0,12}".prop_map(Value::from),
            "(yes|on|0644|1e3|1_000|2001-01-01|~|<<|=|- a|a: b|#x|v1\\.2:)".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[ -~]{1,8}", inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any_value()) {
            let text = write(&value);
            let read = document("written.yaml", text.as_bytes(), &Limits::default());
            prop_assert_eq!(read, Ok(value), "{}", text);
        }
    }

    #[test]
    fn it_looks_like_a_file_of_helm() {
        let value =
            json!({"entries": {"web": [{"name": "web", "urls": ["https://h/a.tgz"], "version": "0.1.0"}]}});

        assert_eq!(
            write(&value),
            "entries:\n  web:\n  - name: web\n    urls:\n    - https://h/a.tgz\n    version: \"0.1.0\"\n"
        );
    }
}
