//! Somebody's values over a chart's defaults, as Helm coalesces them.

use serde_json::Value;

/// Mappings go into each other; everything else of mine stands in place of the default; `null` takes a default away.
pub fn overlay(defaults: Value, mine: &Value) -> Value {
    match (defaults, mine) {
        (Value::Object(mut fields), Value::Object(over)) => {
            for (key, value) in over {
                if value.is_null() {
                    fields.remove(key);
                    continue;
                }
                let default = fields.remove(key).unwrap_or_default();
                fields.insert(key.clone(), overlay(default, value));
            }
            Value::Object(fields)
        }
        // Nothing of the defaults is left that a `null` inside could take away.
        (_, Value::Object(over)) => Value::Object(
            over.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), overlay(Value::Null, value)))
                .collect(),
        ),
        (_, other) => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_lie_over_defaults() {
        let defaults =
            json!({"image": {"tag": "1", "pull": "Always"}, "list": [1, 2], "gone": 1, "map": {"a": 1}});

        assert_eq!(
            overlay(
                defaults,
                &json!({"image": {"tag": "2"}, "list": [3], "gone": null, "map": 5, "own": {"x": null, "y": 1}})
            ),
            json!({"image": {"tag": "2", "pull": "Always"}, "list": [3], "map": 5, "own": {"y": 1}})
        );
    }
}
