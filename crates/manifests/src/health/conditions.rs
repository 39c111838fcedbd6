//! Looking things up in a status.

use serde_json::Value;

use super::Health;

pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}

pub(crate) fn is(object: &Value, kind: &str, status: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == status)
}

/// `reason: message`, as far as they are there.
pub(crate) fn explain(condition: &Value) -> String {
    let text = |field: &str| condition[field].as_str().unwrap_or_default().trim().to_owned();
    match (text("reason"), text("message")) {
        (reason, message) if message.is_empty() => reason,
        (reason, message) if reason.is_empty() => message,
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// Empty where there is none.
pub(crate) fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

pub(crate) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// The controller has not yet seen the latest change.
pub(crate) fn not_observed(object: &Value) -> Option<Health> {
    let wanted = object["metadata"]["generation"].as_i64()?;
    let observed = object["status"]["observedGeneration"].as_i64()?;
    (observed < wanted).then(|| Health::progressing("the latest change is not yet seen by its controller"))
}
