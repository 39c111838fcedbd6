//! How many steps a check against a schema would take, told before it is begun.
//!
//! A schema of some lines can ask for more steps than there are atoms (`allOf` of two references to the next level, forty levels deep),
//! and a check cannot be stopped in its middle. Counting is quick where checking is not: each pair of schema and value is counted
//! once, however often the check would come by.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::ValuesError;

/// A check of this many steps takes a second or so.
const MOST_STEPS: u64 = 5_000_000;
/// Pairs that are looked at in counting.
const MOST_PAIRS: usize = 500_000;
/// References into references into references.
const MOST_DEPTH: usize = 500;
/// In the whole schema, whether the values lead to them or not.
const MOST_REFERENCES: usize = 5_000;
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Keywords that hold schemas, how they hold them, and whether these look at the same value or at every part of it.
const KEYWORDS: [(&str, Holds, Looks); 17] = [
    ("allOf", Holds::List, Looks::AtTheSame),
    ("anyOf", Holds::List, Looks::AtTheSame),
    ("oneOf", Holds::List, Looks::AtTheSame),
    ("not", Holds::One, Looks::AtTheSame),
    ("if", Holds::One, Looks::AtTheSame),
    ("then", Holds::One, Looks::AtTheSame),
    ("else", Holds::One, Looks::AtTheSame),
    ("dependentSchemas", Holds::Named, Looks::AtTheSame),
    // The older name of the one before.
    ("dependencies", Holds::Named, Looks::AtTheSame),
    ("items", Holds::One, Looks::AtEachPart),
    ("prefixItems", Holds::List, Looks::AtEachPart),
    ("additionalItems", Holds::One, Looks::AtEachPart),
    ("unevaluatedItems", Holds::One, Looks::AtEachPart),
    ("contains", Holds::One, Looks::AtEachPart),
    ("additionalProperties", Holds::One, Looks::AtEachPart),
    ("unevaluatedProperties", Holds::One, Looks::AtEachPart),
    ("patternProperties", Holds::Named, Looks::AtEachPart),
];

#[derive(Clone, Copy)]
enum Holds {
    One,
    List,
    Named,
}

#[derive(Clone, Copy)]
enum Looks {
    AtTheSame,
    AtEachPart,
}

pub(super) fn check(schema: &Value, values: &Value) -> Result<(), ValuesError> {
    let mut counter = Counter {
        root: schema,
        anchors: HashMap::new(),
        references: 0,
        counted: HashMap::new(),
    };
    counter.find_anchors(schema, 0);
    if counter.references > MOST_REFERENCES {
        return Err(ValuesError::Schema(format!(
            "it has more than {MOST_REFERENCES} references; simplify it"
        )));
    }
    match counter.count(schema, values, 0) {
        Some(steps) if steps <= MOST_STEPS => Ok(()),
        _ => Err(ValuesError::Schema(
            "a check against it would take too many steps; simplify its references".to_owned(),
        )),
    }
}

struct Counter<'a> {
    root: &'a Value,
    /// By `$id`, `$anchor` and `$dynamicAnchor`.
    anchors: HashMap<&'a str, &'a Value>,
    references: usize,
    /// By the addresses of schema and value, which stay where they are; `None` while it is being counted.
    counted: HashMap<(*const Value, *const Value), Option<u64>>,
}

impl<'a> Counter<'a> {
    fn find_anchors(&mut self, schema: &'a Value, depth: usize) {
        if depth > MOST_DEPTH {
            return;
        }
        match schema {
            Value::Object(fields) => {
                for key in ["$id", "id", "$anchor", "$dynamicAnchor"] {
                    if let Some(Value::String(name)) = fields.get(key) {
                        self.anchors.insert(name, schema);
                    }
                }
                self.references += usize::from(REFERENCES.iter().any(|key| fields.contains_key(*key)));
                for value in fields.values() {
                    self.find_anchors(value, depth + 1);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.find_anchors(item, depth + 1);
                }
            }
            _ => {}
        }
    }

    /// `None` if there are too many pairs, or the schema refers to itself without coming nearer to an end.
    fn count(&mut self, schema: &'a Value, value: &'a Value, depth: usize) -> Option<u64> {
        let Value::Object(keywords) = schema else {
            return Some(1);
        };
        let pair = (std::ptr::from_ref(schema), std::ptr::from_ref(value));
        if let Some(known) = self.counted.get(&pair) {
            return *known;
        }
        if depth > MOST_DEPTH || self.counted.len() >= MOST_PAIRS {
            return None;
        }
        self.counted.insert(pair, None);
        let steps = self.count_keywords(keywords, value, depth + 1)?;
        self.counted.insert(pair, Some(steps));
        Some(steps)
    }

    fn count_keywords(
        &mut self,
        keywords: &'a Map<String, Value>,
        value: &'a Value,
        depth: usize,
    ) -> Option<u64> {
        let mut steps = 1 + keywords.len() as u64;
        let mut add = |more: u64| steps = steps.saturating_add(more);
        for key in REFERENCES {
            if let Some(target) = keywords.get(key).and_then(|reference| self.target(reference)) {
                add(self.count(target, value, depth)?);
            }
        }
        if let (Some(Value::Object(properties)), Value::Object(fields)) = (keywords.get("properties"), value)
        {
            for (name, inner) in properties {
                if let Some(part) = fields.get(name) {
                    add(self.count(inner, part, depth)?);
                }
            }
        }
        let parts: Vec<&Value> = match value {
            Value::Object(fields) => fields.values().collect(),
            Value::Array(items) => items.iter().collect(),
            _ => Vec::new(),
        };
        for (key, holds, looks) in KEYWORDS {
            for inner in keywords
                .get(key)
                .into_iter()
                .flat_map(|keyword| schemas(keyword, holds))
            {
                match looks {
                    Looks::AtTheSame => add(self.count(inner, value, depth)?),
                    Looks::AtEachPart => {
                        for part in &parts {
                            add(self.count(inner, part, depth)?);
                        }
                    }
                }
            }
        }
        if keywords.get("uniqueItems") == Some(&Value::Bool(true)) {
            // Each with each, in the worst case.
            add((parts.len() as u64).saturating_mul(parts.len() as u64));
        }
        Some(steps)
    }

    /// Inside this document; what leads out of it is refused when the schema is built.
    fn target(&self, reference: &Value) -> Option<&'a Value> {
        let reference = reference.as_str()?;
        if let Some(known) = self.anchors.get(reference) {
            return Some(known);
        }
        let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let base = if document.is_empty() {
            self.root
        } else {
            self.anchors.get(document).copied()?
        };
        if fragment.is_empty() {
            Some(base)
        } else if fragment.starts_with('/') {
            base.pointer(fragment)
        } else {
            self.anchors.get(fragment).copied()
        }
    }
}

fn schemas(keyword: &Value, holds: Holds) -> Vec<&Value> {
    match (keyword, holds) {
        (Value::Object(fields), Holds::Named) => fields.values().collect(),
        // `items` of older drafts is a list.
        (Value::Array(items), _) => items.iter().collect(),
        _ => vec![keyword],
    }
}
