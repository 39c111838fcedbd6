//! Get an object as the API server has it. The values of a Secret never leave the cluster; its keys do.

use serde_json::Value;

use super::hands::{Target, explain};
use super::order::OrderResult;
use crate::cluster::deadline;

/// kubectl keeps a copy of the whole object here, the values of a Secret included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

pub(super) async fn get_object(target: Target<'_>) -> Result<OrderResult, String> {
    let object = target.object;
    let found = deadline("an object", target.api.get(&object.name))
        .await
        .map_err(|error| explain(object, &error))?;
    let mut found = serde_json::to_value(found)
        .map_err(|error| format!("{object} cannot be written as JSON: {error}"))?;
    strip(&mut found);
    Ok(OrderResult::answered(found))
}

fn strip(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
    }
    let is_secret = object["kind"] == "Secret" && object["apiVersion"] == "v1";
    if is_secret {
        for field in ["data", "stringData"] {
            let values = object.get_mut(field).and_then(Value::as_object_mut);
            values
                .into_iter()
                .flatten()
                .for_each(|(_, value)| *value = Value::Null);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_values_of_a_secret_stay_in_the_cluster() {
        let mut secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": "s", "managedFields": [{ "manager": "x" }],
                "annotations": { LAST_APPLIED: "{\"data\":{\"password\":\"canary\"}}", "other": "stays" },
            },
            "data": { "password": "canary" },
        });

        strip(&mut secret);

        assert!(!secret.to_string().contains("canary"));
        assert_eq!(secret["data"], json!({ "password": null }));
        assert_eq!(
            secret["metadata"],
            json!({ "name": "s", "annotations": { "other": "stays" } })
        );
    }

    #[test]
    fn other_kinds_keep_their_data() {
        let mut map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "mode": "0644" } });
        strip(&mut map);
        assert_eq!(map["data"]["mode"], "0644");
    }
}
