//! Workloads whose pods cannot be made, and jobs that gave up.

use serde_json::Value;

use super::{Clue, Clues, Trouble, newest, words};
use crate::health::Health;
use crate::health::conditions::{condition, number, word};

pub(super) fn workload(object: &Value, health: &Health) -> Option<Trouble> {
    // Deployments and ReplicaSets carry it in their status, the others tell of it in events only.
    if let Some(failure) = condition(object, "ReplicaFailure").filter(|c| c["status"] == "True") {
        return Some(Trouble::told(refusal(word(failure, "message"))));
    }
    (object["kind"] != "Deployment").then(|| Trouble::asks(health.message.clone(), Clues::Creation))
}

pub(super) fn job(object: &Value, health: &Health) -> Option<Trouble> {
    let Some(failed) = condition(object, "Failed").filter(|c| c["status"] == "True") else {
        return Some(Trouble::asks(health.message.clone(), Clues::Creation));
    };
    let spec = &object["spec"];
    let pods = words::count(number(&object["status"]["failed"]), "pod");
    Some(Trouble::told(match word(failed, "reason") {
        "BackoffLimitExceeded" => {
            let limit = spec["backoffLimit"].as_i64().unwrap_or(6);
            format!(
                "the job has failed: {pods} failed, and no more than {} are allowed (backoffLimit)",
                words::count(limit, "retry").replace("retrys", "retries")
            )
        }
        "DeadlineExceeded" => format!(
            "the job has failed: it took longer than {} (activeDeadlineSeconds)",
            words::count(number(&spec["activeDeadlineSeconds"]), "second")
        ),
        reason => match word(failed, "message") {
            "" => format!("the job has failed: {reason}"),
            message => format!("the job has failed: {message}"),
        },
    }))
}

pub(super) fn refused(events: &[Clue<'_>]) -> Option<String> {
    newest(events, &["FailedCreate"], &["SuccessfulCreate"]).map(|event| refusal(event.message))
}

/// Quota, admission, a missing service account: the API server's own words, without which pod it was.
fn refusal(message: &str) -> String {
    let said = words::behind(
        message,
        &[
            "is forbidden: ",
            " failed error: ",
            "Error creating: ",
            "denied the request: ",
        ],
    )
    .trim();
    let what = if message.contains("Claim ") {
        "its claims are refused"
    } else {
        "its pods are refused"
    };
    if let Some(webhook) =
        words::quoted(message, "admission webhook ").filter(|_| message.contains("denied the request"))
    {
        return format!("{what} by the admission webhook {webhook}: {said}");
    }
    if let Some(account) = words::quoted(said, "serviceaccount ").filter(|_| said.ends_with("not found")) {
        return format!("{what}: the service account {account} does not exist");
    }
    if said.is_empty() {
        return what.to_owned();
    }
    format!("{what}: {said}")
}
