//! Values against a chart's `values.schema.json`. Nothing is fetched: a schema that refers to another place is refused.

use std::fmt;

use jsonschema::PatternOptions;
use serde_json::Value;

use super::{ValuesError, join, steps};

/// Bigger schemas are refused. The biggest of public charts have some hundred kilobytes.
const MOST_SCHEMA: usize = 2 << 20;
/// So many findings are told.
const MOST_FINDINGS: usize = 20;
/// Enough for the deepest schema that [`steps`] lets through.
const STACK: usize = 256 << 20;
/// Memory of one compiled pattern.
const MOST_PATTERN: usize = 1 << 20;

/// One place where the values do not fit. Values themselves are not repeated: they may be secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFinding {
    /// `image.tag`, or nothing for the values as a whole.
    pub path: String,
    pub words: String,
}

impl fmt::Display for SchemaFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.words)
        } else {
            write!(f, "{}: {}", self.path, self.words)
        }
    }
}

/// Whether the values (defaults and all, see [`overlay`](super::overlay)) fit. Takes time: not for a thread that serves sockets.
pub fn check_schema(schema: &str, values: &Value) -> Result<(), ValuesError> {
    if schema.len() > MOST_SCHEMA {
        let reason = format!(
            "it has {} bytes, and at most {MOST_SCHEMA} are read",
            schema.len()
        );
        return Err(ValuesError::Schema(reason));
    }
    let schema: Value =
        serde_json::from_str(schema).map_err(|error| ValuesError::Schema(error.to_string()))?;
    // References into references are followed by recursion; the system gives a stack's memory only as it is used.
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("schema".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || check(&schema, values))
            .map_err(|error| ValuesError::Schema(format!("no thread to check it in: {error}")))?
            .join()
            .unwrap_or_else(|_| Err(ValuesError::Schema("the check against it fails".to_owned())))
    })
}

fn check(schema: &Value, values: &Value) -> Result<(), ValuesError> {
    steps::check(schema, values)?;
    let validator = jsonschema::options()
        .offline()
        // As Helm's own (RE2): no pattern can take longer than the text it looks at.
        .with_pattern_options(
            PatternOptions::regex()
                .size_limit(MOST_PATTERN)
                .dfa_size_limit(MOST_PATTERN),
        )
        .build(schema)
        .map_err(|error| ValuesError::Schema(shorten(&error.to_string())))?;
    if validator.is_valid(values) {
        return Ok(());
    }
    let findings: Vec<SchemaFinding> = validator
        .iter_errors(values)
        .take(MOST_FINDINGS)
        .map(|error| SchemaFinding {
            path: path(values, error.instance_path().as_str()),
            words: shorten(&error.masked_with("the value").to_string()),
        })
        .collect();
    Err(ValuesError::Unfit(findings))
}

/// A JSON pointer as people write it: `/a/0/x.y` is `a[0]."x.y"`.
fn path(values: &Value, pointer: &str) -> String {
    let mut at = Some(values);
    let mut path = String::new();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if matches!(at, Some(Value::Array(_))) {
            path = format!("{path}[{step}]");
            at = at.and_then(|list| list.get(step.parse::<usize>().ok()?));
        } else {
            path = join(&path, &step);
            at = at.and_then(|fields| fields.get(&step));
        }
    }
    path
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(400) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
