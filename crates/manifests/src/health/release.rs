//! Helm releases: what their controller reports.

use serde_json::Value;

use super::{
    Health, HealthStatus,
    conditions::{condition, explain, not_observed, word},
    generic::generic,
};

pub(super) fn release(object: &Value) -> Health {
    let status = &object["status"];
    if status["observedGeneration"].is_null() && word(status, "phase").is_empty() {
        return Health::progressing("not yet seen by its controller");
    }
    if let Some(waiting) = not_observed(object) {
        return waiting;
    }
    let health = generic(object);
    // The conditions say more; a phase is all that there is before they are written.
    let by_phase = |what: &str| match health.message.is_empty() {
        true => Health::progressing(format!("the release is being {what}")),
        false => health.clone(),
    };
    match word(status, "phase") {
        "Pending" => Health::progressing("the release waits for its turn"),
        "Installing" => by_phase("installed"),
        "Upgrading" => by_phase("upgraded"),
        "RollingBack" => by_phase("rolled back"),
        "Stopping" => by_phase("stopped"),
        "Starting" => by_phase("started"),
        "Uninstalling" => by_phase("uninstalled"),
        // As it is wanted, and nothing of it runs.
        "Stopped" if health.status == HealthStatus::Healthy => Health::suspended("the release is stopped"),
        "Failed" => Health::degraded(failure(object)),
        _ => with_drift(object, health),
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
