//! A Helm release of ours: the common conditions, and two things that they cannot say.

use serde_json::Value;

use super::{
    Health,
    conditions::{condition, explain},
    generic::generic,
};

pub(super) fn release(object: &Value) -> Health {
    let status = &object["status"];
    if status["observedGeneration"].is_null() {
        return Health::progressing("not yet seen by its controller");
    }
    let health = generic(object);
    // As it is wanted, and nothing of it runs.
    if status["phase"] == "Stopped" && health.status == super::HealthStatus::Healthy {
        return Health::suspended("stopped");
    }
    match condition(object, "Drifted").filter(|c| c["status"] == "True") {
        Some(drifted) if health.message.is_empty() => Health {
            message: explain(drifted),
            ..health
        },
        _ => health,
    }
}
