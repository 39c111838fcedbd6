//! Fields of a manifest that a set of owned fields lacks, as paths that can be found again: in another set, in the object, in
//! words for people.
//!
//! The words have names of fields only, never their values: what somebody wrote by hand may be a secret.

use std::fmt;

use serde_json::{Map, Value};

use crate::{
    applyset::SERVER_METADATA,
    ownership::{is_nothing, item_covered},
};

/// Where a field of a manifest is.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldPath<'a>(Vec<Step<'a>>);

#[derive(Debug, Clone, PartialEq)]
enum Step<'a> {
    Field(&'a str),
    /// By its place and what it is: which of its fields are its key only the schema knows, and the sets that have it.
    Item(usize, &'a Value),
}

/// What the manifest sets and the set lacks, in the order of the manifest, each down to where they part.
pub fn uncovered_fields<'a>(manifest: &'a Value, fields_v1: &Value) -> Vec<FieldPath<'a>> {
    let Some(root) = manifest.as_object() else {
        return Vec::new();
    };
    let set = fields_v1.as_object();
    let is_secret = manifest["kind"] == "Secret" && manifest["apiVersion"] == "v1";
    let mut walk = Walk::default();
    for (key, value) in root {
        match key.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                let fields = set
                    .and_then(|set| set.get("f:metadata"))
                    .and_then(Value::as_object);
                for (key, value) in value.as_object().into_iter().flatten() {
                    if !matches!(key.as_str(), "name" | "namespace")
                        && !SERVER_METADATA.contains(&key.as_str())
                    {
                        walk.path.push(Step::Field("metadata"));
                        walk.field(key, value, fields);
                        walk.path.pop();
                    }
                }
            }
            // The server moves every entry to `data`.
            "stringData" if is_secret => walk.field("data", value, set),
            _ => walk.field(key, value, set),
        }
    }
    walk.found
}

#[derive(Default)]
struct Walk<'a> {
    path: Vec<Step<'a>>,
    found: Vec<FieldPath<'a>>,
}

impl<'a> Walk<'a> {
    fn field(&mut self, key: &'a str, value: &'a Value, fields: Option<&Map<String, Value>>) {
        self.path.push(Step::Field(key));
        self.value(value, fields.and_then(|fields| fields.get(&format!("f:{key}"))));
        self.path.pop();
    }

    /// `fields` is what of the set is at this place.
    fn value(&mut self, value: &'a Value, fields: Option<&Value>) {
        // The server drops empty maps and lists, and nobody can own what is not there.
        if is_nothing(value) {
            return;
        }
        let fields = fields.and_then(Value::as_object);
        // A leaf of the set covers all below it.
        if fields.is_some_and(Map::is_empty) {
            return;
        }
        match (value, fields) {
            // Down to its leaves: each may have an owner of its own.
            (Value::Object(map), fields) => {
                for (key, value) in map {
                    self.field(key, value, fields);
                }
            }
            (Value::Array(items), Some(fields)) => {
                for (at, item) in items.iter().enumerate() {
                    if item_covered(item, fields) {
                        continue;
                    }
                    self.path.push(Step::Item(at, item));
                    match of_item(item, fields) {
                        Some(inside) => self.value(item, Some(inside)),
                        None => self.note(),
                    }
                    self.path.pop();
                }
            }
            (_, Some(_)) => {}
            (_, None) => self.note(),
        }
    }

    fn note(&mut self) {
        self.found.push(FieldPath(self.path.clone()));
    }
}

impl FieldPath<'_> {
    /// Whether a set has the field. What it has as a whole has nothing below it.
    pub fn is_in(&self, fields_v1: &Value) -> bool {
        !is_leaf(fields_v1) && has(fields_v1, &self.0)
    }

    /// Takes the field out of the object; elements of lists stay.
    pub fn remove_from(&self, object: &mut Value) {
        let Some((Step::Field(last), before)) = self.0.split_last() else {
            return;
        };
        let mut at = object;
        for step in before {
            let Step::Field(key) = step else { return };
            let Some(below) = at.get_mut(key) else { return };
            at = below;
        }
        if let Some(map) = at.as_object_mut() {
            map.remove(*last);
        }
    }
}

/// `.spec.template.spec.containers[name="web"].image`
impl fmt::Display for FieldPath<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| match step {
            Step::Field(key) => write!(formatter, ".{key}"),
            Step::Item(_, item) if item["name"].is_string() => write!(formatter, "[name={}]", item["name"]),
            Step::Item(at, _) => write!(formatter, "[{at}]"),
        })
    }
}

fn is_leaf(fields: &Value) -> bool {
    fields.as_object().is_some_and(Map::is_empty)
}

fn has(fields: &Value, path: &[Step<'_>]) -> bool {
    let (Some(map), Some((step, rest))) = (fields.as_object(), path.split_first()) else {
        return path.is_empty();
    };
    if map.is_empty() {
        return true;
    }
    let inside = match step {
        Step::Field(key) => map.get(&format!("f:{key}")),
        Step::Item(_, item) => of_item(item, map),
    };
    inside.is_some_and(|inside| has(inside, rest))
}

/// What a set has of an element of a list: by key (`k:`) or by value (`v:`).
fn of_item<'f>(item: &Value, fields: &'f Map<String, Value>) -> Option<&'f Value> {
    fields.iter().find_map(|(path, inside)| {
        let is_it = if let Some(key) = path.strip_prefix("k:") {
            // A key field that the element leaves out was defaulted, as `protocol` of a port is.
            item.is_object()
                && serde_json::from_str::<Map<String, Value>>(key).is_ok_and(|key| {
                    key.iter()
                        .all(|(name, expected)| item.get(name).is_none_or(|found| found == expected))
                })
        } else if let Some(expected) = path.strip_prefix("v:") {
            serde_json::from_str::<Value>(expected).is_ok_and(|expected| expected == *item)
        } else {
            false
        };
        is_it.then_some(inside)
    })
}
