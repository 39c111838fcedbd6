//! Writes an index as `helm repo index` does: the same fields, in the same order.

use serde_json::{Map, Value};

use super::Index;
use crate::yaml;

impl Index {
    /// The text of `index.yaml`.
    pub fn to_yaml(&self) -> String {
        yaml::write(&self.to_json())
    }

    fn to_json(&self) -> Value {
        let entries = self
            .entries
            .iter()
            .map(|(chart, versions)| {
                // Strings, lists and maps with text for keys: nothing that JSON cannot say.
                let versions = versions
                    .iter()
                    .map(|entry| serde_json::to_value(entry).unwrap_or_default())
                    .collect();
                (chart.clone(), Value::Array(versions))
            })
            .collect::<Map<_, _>>();
        Value::Object(
            [
                ("apiVersion".to_owned(), Value::from("v1")),
                ("entries".to_owned(), Value::Object(entries)),
                ("generated".to_owned(), Value::from(self.generated.as_str())),
            ]
            .into_iter()
            .collect(),
        )
    }
}
