//! Helm releases: what their controller reports.

use serde_json::Value;

use super::{
    Health,
    conditions::{condition, explain, not_observed, word},
    generic::generic,
};

pub(super) fn release(object: &Value) -> Health {
    if let Some(waiting) = not_observed(object) {
        return waiting;
    }
    let status = &object["status"];
    // The next attempt at what has failed does not make it well for a moment.
    if condition(object, "Stalled").is_some_and(|stalled| stalled["status"] == "True") {
        return Health::degraded(failure(object));
    }
    let operating = |what: &str| Health::progressing(format!("the release is being {what}"));
    match word(status, "phase") {
        "" => Health::progressing("not yet seen by its controller"),
        "Pending" => Health::progressing("the release waits for its turn"),
        "Installing" => operating("installed"),
        "Upgrading" => operating("upgraded"),
        "RollingBack" => operating("rolled back"),
        "Stopping" => operating("stopped"),
        "Starting" => operating("started"),
        "Uninstalling" => operating("uninstalled"),
        "Stopped" => Health::suspended("the release is stopped"),
        "Failed" => Health::degraded(failure(object)),
        _ => with_drift(object, generic(object)),
    }
}

/// A release that is otherwise well says what was changed by hand, where that is only reported.
fn with_drift(object: &Value, health: Health) -> Health {
    match condition(object, "Drifted").filter(|drifted| drifted["status"] == "True") {
        Some(drifted) if health.message.is_empty() => Health {
            message: explain(drifted),
            ..health
        },
        _ => health,
    }
}

fn failure(object: &Value) -> String {
    let told = word(&object["status"], "lastError").trim();
    if !told.is_empty() {
        return told.to_owned();
    }
    ["Released", "Ready"]
        .into_iter()
        .filter_map(|kind| condition(object, kind))
        .filter(|condition| condition["status"] != "True")
        .map(explain)
        .find(|told| !told.is_empty())
        .unwrap_or_else(|| "the release has failed".to_owned())
}
