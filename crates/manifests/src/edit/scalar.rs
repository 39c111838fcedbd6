//! One value on one line, in the quotes that its place had.

use std::borrow::Cow;

use serde_json::Value;

use super::layout::PlaceKind;
use crate::yaml::plain_is_text;

/// `None` for lists and mappings that have something in them.
pub(super) fn inline(value: &Value, before: Option<&PlaceKind>) -> Option<String> {
    Some(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(text) => string(text, before),
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Array(_) | Value::Object(_) => return None,
    })
}

pub(super) fn string(text: &str, before: Option<&PlaceKind>) -> String {
    match before {
        Some(PlaceKind::DoubleQuoted) => double_quoted(text),
        Some(PlaceKind::SingleQuoted) if !text.chars().any(char::is_control) => single_quoted(text),
        _ if plain_is_safe(text) => text.to_owned(),
        _ => double_quoted(text),
    }
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn double_quoted(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Line separators and what YAML forbids in the text itself.
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{a0}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(character));
            }
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Fewer texts than YAML would take without quotes, and none that any reader takes for something else.
fn plain_is_safe(text: &str) -> bool {
    let first_fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '.');
    let fits = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '.' | '-' | '+' | '@' | ':' | '=' | '~')
    };
    text.starts_with(first_fits)
        && text.chars().all(fits)
        && !text.ends_with(':')
        && plain_is_text(Cow::Borrowed(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_bare_only_where_nobody_reads_anything_else() {
        for (text, written) in [
            ("web", "web"),
            ("1.2.3", "1.2.3"),
            ("1.10", "\"1.10\""),
            ("0644", "\"0644\""),
            ("true", "\"true\""),
            ("on", "\"on\""),
            ("null", "\"null\""),
            ("", "\"\""),
            ("~1.2", "\"~1.2\""),
            (">=1.0", "\">=1.0\""),
            ("https://charts.example.com/a", "https://charts.example.com/a"),
            ("a: b", "\"a: b\""),
            ("a #b", "\"a #b\""),
            ("say \"hi\"", "\"say \\\"hi\\\"\""),
            ("a\u{85}b", "\"a\\x85b\""),
        ] {
            assert_eq!(string(text, None), written);
        }
        assert_eq!(string("it's", Some(&PlaceKind::SingleQuoted)), "'it''s'");
        assert_eq!(string("web", Some(&PlaceKind::DoubleQuoted)), "\"web\"");
    }
}
