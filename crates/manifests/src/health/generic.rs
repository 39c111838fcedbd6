use serde_json::Value;

use super::{Health, HealthStatus, condition, number, text, told};

/// A controller that has not seen the newest specification has not judged it either.
pub(super) fn observed(object: &Value) -> Option<Health> {
    let observed = object.pointer("/status/observedGeneration")?.as_i64()?;
    (observed < number(object, "/metadata/generation"))
        .then(|| Health::progressing("the controller has not seen the newest change yet"))
}

/// The standard conditions of custom resources, and of everything else that has no rules of its own.
pub(super) fn conditions(object: &Value) -> Health {
    if let Some(health) = observed(object) {
        return health;
    }
    if let Some(("True", reason, message)) = condition(object, "Stalled") {
        return Health::degraded(told(reason, message));
    }
    if let Some(("True", reason, message)) = condition(object, "Reconciling") {
        return Health::progressing(told(reason, message));
    }
    match condition(object, "Ready") {
        Some(("False", reason, message)) => Health::progressing(told(reason, message)),
        Some(("Unknown", reason, message)) => Health::new(HealthStatus::Unknown, told(reason, message)),
        _ => Health::healthy(),
    }
}

pub(super) fn service(object: &Value) -> Health {
    let waits = text(object, "/spec/type") == "LoadBalancer"
        && object
            .pointer("/status/loadBalancer/ingress")
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty);
    if waits {
        Health::progressing("no load balancer has been assigned yet")
    } else {
        Health::healthy()
    }
}

pub(super) fn autoscaler(object: &Value) -> Health {
    match condition(object, "AbleToScale") {
        Some(("False", reason, message)) => Health::degraded(told(reason, message)),
        _ => Health::healthy(),
    }
}

pub(super) fn definition(object: &Value) -> Health {
    if let Some(("False", reason, message)) = condition(object, "NamesAccepted") {
        return Health::degraded(told(reason, message));
    }
    match condition(object, "Established") {
        Some(("True", ..)) => Health::healthy(),
        _ => Health::progressing("the definition is not established yet"),
    }
}
