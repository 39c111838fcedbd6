//! Kinds that the cluster itself works with.

use serde_json::Value;

use super::{
    Health,
    conditions::{condition, explain, is, not_observed, number},
};

pub(super) fn namespace(object: &Value) -> Health {
    match object["status"]["phase"].as_str() {
        Some("Terminating") => Health::progressing("being deleted"),
        _ => Health::healthy(),
    }
}

pub(super) fn definition(object: &Value) -> Health {
    if let Some(names) = condition(object, "NamesAccepted").filter(|c| c["status"] == "False") {
        return Health::degraded(explain(names));
    }
    match condition(object, "Established") {
        Some(established) if established["status"] == "True" => Health::healthy(),
        Some(established) if established["reason"] != "Installing" => Health::degraded(explain(established)),
        _ => Health::progressing("not yet served"),
    }
}

pub(super) fn api_service(object: &Value) -> Health {
    match condition(object, "Available") {
        Some(available) if available["status"] == "True" => Health::healthy(),
        Some(available) => Health::degraded(explain(available)),
        None => Health::progressing("not yet available"),
    }
}

pub(super) fn autoscaler(object: &Value) -> Health {
    for kind in ["AbleToScale", "ScalingActive"] {
        let Some(found) = condition(object, kind).filter(|c| c["status"] == "False") else {
            continue;
        };
        return if found["reason"] == "ScalingDisabled" {
            Health::suspended(explain(found))
        } else {
            Health::degraded(explain(found))
        };
    }
    if let Some(limited) = condition(object, "ScalingLimited").filter(|c| c["status"] == "True") {
        return Health {
            message: explain(limited),
            ..Health::healthy()
        };
    }
    // autoscaling/v1 has no conditions in its status.
    if is(object, "AbleToScale", "True") || !object["status"]["currentReplicas"].is_null() {
        return Health::healthy();
    }
    Health::progressing("not yet seen by its controller")
}

pub(super) fn disruption_budget(object: &Value) -> Health {
    if let Some(waiting) = not_observed(object) {
        return waiting;
    }
    let status = &object["status"];
    let (current, wanted) = (
        number(&status["currentHealthy"]),
        number(&status["desiredHealthy"]),
    );
    if current < wanted {
        return Health::progressing(format!("{current} of {wanted} pods healthy"));
    }
    Health::healthy()
}
