//! Jobs and their schedule.

use serde_json::Value;

use super::{
    Health,
    conditions::{condition, explain, is, number},
};

pub(super) fn job(object: &Value) -> Health {
    if let Some(failed) = condition(object, "Failed").filter(|c| c["status"] == "True") {
        return Health::degraded(explain(failed));
    }
    if is(object, "Complete", "True") {
        return Health::healthy();
    }
    if object["spec"]["suspend"] == true {
        return Health::suspended("the job is suspended");
    }
    let status = &object["status"];
    let wanted = object["spec"]["completions"].as_i64().unwrap_or(1);
    let (done, active) = (number(&status["succeeded"]), number(&status["active"]));
    let failed = number(&status["failed"]);
    let failures = if failed > 0 {
        format!(", {failed} failed")
    } else {
        String::new()
    };
    Health::progressing(format!("{done} of {wanted} done, {active} running{failures}"))
}

pub(super) fn cron_job(object: &Value) -> Health {
    if object["spec"]["suspend"] == true {
        return Health::suspended("the schedule is suspended");
    }
    Health::healthy()
}
