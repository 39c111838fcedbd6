//! Values as lines: what stands after the key, and what follows below it.

use serde_json::Value;

use super::layout::PlaceKind;
use super::scalar;

/// A value that is to be written behind a key or a dash.
pub(super) struct Written {
    /// On the line of the key; empty where everything is below.
    pub inline: String,
    /// Below it, each with its indentation and without a line end.
    pub lines: Vec<String>,
}

/// How a text of several lines is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Texts {
    /// As a literal block, where it can be one.
    AsBlocks,
    /// In quotes on one line.
    Quoted,
}

/// A whole document of block style, with a line end.
pub fn render(value: &Value) -> String {
    let written = match value {
        Value::Object(_) | Value::Array(_) => write(value, 0, 0, None, Texts::AsBlocks),
        _ => Written {
            inline: scalar::inline(value, None).unwrap_or_default(),
            lines: Vec::new(),
        },
    };
    let mut text = written.inline;
    if !text.is_empty() {
        text.push('\n');
    }
    for line in written.lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// `key` is the column of the key or dash, `indent` the one of what stands below.
pub(super) fn write(
    value: &Value,
    key: usize,
    indent: usize,
    before: Option<&PlaceKind>,
    texts: Texts,
) -> Written {
    if let (Value::String(text), Texts::AsBlocks) = (value, texts)
        && let Some(block) = literal(text, key, indent)
    {
        return block;
    }
    if let Some(inline) = scalar::inline(value, before) {
        return Written {
            inline,
            lines: Vec::new(),
        };
    }
    let mut lines = Vec::new();
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                lines.extend(entry(name, value, indent, texts));
            }
        }
        Value::Array(items) => {
            for item in items {
                let written = write(item, indent, indent + 2, None, texts);
                let dash = " ".repeat(indent);
                if written.inline.is_empty() {
                    let mut inner = written.lines.into_iter();
                    if let Some(first) = inner.next() {
                        lines.push(format!("{dash}- {}", first.trim_start()));
                    }
                    lines.extend(inner);
                } else {
                    lines.push(format!("{dash}- {}", written.inline));
                    lines.extend(written.lines);
                }
            }
        }
        _ => {}
    }
    Written {
        inline: String::new(),
        lines,
    }
}

/// A key and its value.
pub(super) fn entry(name: &str, value: &Value, column: usize, texts: Texts) -> Vec<String> {
    let written = write(value, column, column + 2, None, texts);
    let key = scalar::string(name, None);
    let gap = if written.inline.is_empty() { "" } else { " " };
    let mut lines = vec![format!("{}{key}:{gap}{}", " ".repeat(column), written.inline)];
    lines.extend(written.lines);
    lines
}

/// Text of several lines as people write it. `None` for what a literal block cannot say.
fn literal(text: &str, key: usize, indent: usize) -> Option<Written> {
    let body = text.trim_end_matches('\n');
    let breaks = text.len() - body.len();
    let is_plain = |c: char| c == '\n' || c == '\t' || !c.is_control();
    if !text.contains('\n') || body.trim().is_empty() || !text.chars().all(is_plain) {
        return None;
    }
    let first = body.split('\n').find(|line| !line.is_empty())?;
    let depth = indent.checked_sub(key).filter(|depth| (1..=9).contains(depth));
    let indicator = if first.starts_with(' ') {
        depth?.to_string()
    } else {
        String::new()
    };
    let chomping = match breaks {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let pad = " ".repeat(indent);
    let mut lines: Vec<String> = body
        .split('\n')
        .map(|line| {
            if line.is_empty() {
                String::new()
            } else {
                format!("{pad}{line}")
            }
        })
        .collect();
    lines.extend((1..breaks).map(|_| String::new()));
    Some(Written {
        inline: format!("|{indicator}{chomping}"),
        lines,
    })
}
