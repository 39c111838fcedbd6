//! Drift field by field: which fields of a manifest are not ours any more in the live object, and whose they are now.
//!
//! Names of fields only, never their values: what somebody wrote by hand may be a secret.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{applyset::SERVER_METADATA, labels, ownership::is_nothing, ownership::owned_fields};

/// More than this nobody reads.
const SHOWN: usize = 20;

/// A field that the manifest sets and that is no longer ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DriftedField {
    /// `.spec.template.spec.containers[name="web"].image`
    pub field: String,
    /// Who has set it since; `None` when nobody owns it, because it was taken out.
    pub by: Option<Manager>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Manager {
    pub name: String,
    /// RFC 3339; of the last change by this manager.
    pub time: String,
}

/// The fields in the order of the manifest, at most twenty.
pub fn drifted_fields(manifest: &Value, live: &Value) -> Vec<DriftedField> {
    let Some(root) = manifest.as_object() else {
        return Vec::new();
    };
    let ours = owned_fields(live).and_then(Value::as_object);
    let is_secret = manifest["kind"] == "Secret" && manifest["apiVersion"] == "v1";
    let mut walk = Walk {
        live,
        path: Vec::new(),
        found: Vec::new(),
    };
    for (key, value) in root {
        match key.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                let fields = ours
                    .and_then(|ours| ours.get("f:metadata"))
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
            "stringData" if is_secret => walk.field("data", value, ours),
            _ => walk.field(key, value, ours),
        }
    }
    walk.found
}

enum Step<'a> {
    Field(&'a str),
    Item(usize, &'a Value),
}

struct Walk<'a> {
    live: &'a Value,
    path: Vec<Step<'a>>,
    found: Vec<DriftedField>,
}

impl<'a> Walk<'a> {
    fn field(&mut self, key: &'a str, value: &'a Value, fields: Option<&Map<String, Value>>) {
        self.path.push(Step::Field(key));
        self.value(value, fields.and_then(|fields| fields.get(&format!("f:{key}"))));
        self.path.pop();
    }

    /// `fields` is what of our set is at this place.
    fn value(&mut self, value: &'a Value, fields: Option<&Value>) {
        // The server drops empty maps and lists, and nobody can own what is not there.
        if is_nothing(value) || self.found.len() >= SHOWN {
            return;
        }
        let fields = fields.and_then(Value::as_object);
        // A leaf of our set covers all below it.
        if fields.is_some_and(Map::is_empty) {
            return;
        }
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    self.field(key, value, fields);
                }
            }
            Value::Array(items) if fields.is_some() => {
                for (at, item) in items.iter().enumerate() {
                    self.path.push(Step::Item(at, item));
                    match fields.and_then(|fields| of_item(item, fields)) {
                        Some(inside) if item.is_object() => self.value(item, Some(inside)),
                        Some(_) => {}
                        None => self.note(),
                    }
                    self.path.pop();
                }
            }
            _ if fields.is_some() => {}
            _ => self.note(),
        }
    }

    fn note(&mut self) {
        if self.found.len() < SHOWN {
            self.found.push(DriftedField {
                field: words(&self.path),
                by: self.owner(),
            });
        }
    }

    /// The manager who set it last.
    fn owner(&self) -> Option<Manager> {
        let entries = self.live["metadata"]["managedFields"].as_array()?;
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        entries
            .iter()
            .filter(|entry| !(entry["manager"] == labels::FIELD_MANAGER && entry["operation"] == "Apply"))
            .filter(|entry| has(&entry["fieldsV1"], &self.path))
            .map(|entry| Manager {
                name: text(entry, "manager"),
                time: text(entry, "time"),
            })
            .max_by(|a, b| a.time.cmp(&b.time))
    }
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
            serde_json::from_str::<Map<String, Value>>(key).is_ok_and(|key| {
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

fn words(path: &[Step<'_>]) -> String {
    path.iter()
        .map(|step| match step {
            Step::Field(key) => format!(".{key}"),
            Step::Item(_, item) if item["name"].is_string() => format!("[name={}]", item["name"]),
            Step::Item(at, _) => format!("[{at}]"),
        })
        .collect()
}
