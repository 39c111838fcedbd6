//! Every other kind: the conditions that controllers have in common.

use serde_json::Value;

use super::{
    Health,
    conditions::{condition, explain, not_observed},
};

pub(super) fn generic(object: &Value) -> Health {
    if let Some(waiting) = not_observed(object) {
        return waiting;
    }
    if let Some(stalled) = condition(object, "Stalled").filter(|c| c["status"] == "True") {
        return Health::degraded(explain(stalled));
    }
    if object["spec"]["suspend"] == true {
        return Health::suspended("suspended");
    }
    if let Some(reconciling) = condition(object, "Reconciling").filter(|c| c["status"] == "True") {
        return Health::progressing(explain(reconciling));
    }
    match condition(object, "Ready") {
        Some(ready) if ready["status"] != "True" => Health::progressing(explain(ready)),
        // A kind without conditions is there, and that is all there is to it.
        _ => Health::healthy(),
    }
}
