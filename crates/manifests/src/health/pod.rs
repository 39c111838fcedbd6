//! Pods: the message names the container and the reason, because that is what one looks for.

use serde_json::Value;

use super::{
    Health,
    conditions::{condition, explain, is, number},
};

/// Waiting for one of these is no matter of time.
const STUCK: [&str; 10] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

pub(super) fn pod(object: &Value) -> Health {
    let status = &object["status"];
    match status["phase"].as_str() {
        Some("Succeeded") => Health::healthy(),
        Some("Failed") => Health::degraded(failed(object)),
        Some("Running") => running(object),
        Some("Pending") => pending(object),
        Some("Unknown") => Health::new(super::HealthStatus::Unknown, "its node does not answer"),
        _ => Health::progressing("not yet scheduled"),
    }
}

fn pending(object: &Value) -> Health {
    if let Some(stuck) = stuck(object) {
        return stuck;
    }
    match condition(object, "PodScheduled") {
        Some(scheduled) if scheduled["status"] == "False" && scheduled["reason"] == "Unschedulable" => {
            Health::degraded(explain(scheduled))
        }
        Some(scheduled) if scheduled["status"] == "False" => Health::progressing(explain(scheduled)),
        _ => Health::progressing(waiting(object).unwrap_or_else(|| "starting".to_owned())),
    }
}

fn running(object: &Value) -> Health {
    if let Some(stuck) = stuck(object) {
        return stuck;
    }
    if is(object, "Ready", "True") {
        return Health::healthy();
    }
    if let Some(waiting) = waiting(object) {
        return Health::progressing(waiting);
    }
    let unready: Vec<&str> = containers(object)
        .filter(|container| container["ready"] != true && container["state"]["terminated"].is_null())
        .filter_map(|container| container["name"].as_str())
        .collect();
    match unready.as_slice() {
        [] => Health::progressing(condition(object, "Ready").map_or_else(|| "not ready".to_owned(), explain)),
        names => Health::progressing(format!("not ready: container {}", names.join(", "))),
    }
}

/// A container that will not start as things are, or that has ended badly and is about to be restarted.
fn stuck(object: &Value) -> Option<Health> {
    all_containers(object).find_map(|container| {
        let name = container["name"].as_str().unwrap_or_default();
        let waiting = &container["state"]["waiting"];
        let reason = waiting["reason"].as_str().unwrap_or_default();
        if STUCK.contains(&reason) {
            let mut text = format!("container {name}: {}", explain(waiting));
            if let Some(last) = ended(&container["lastState"]["terminated"]) {
                text.push_str(&format!(" (last ended with {last})"));
            }
            return Some(Health::degraded(text));
        }
        // Between two crashes, before the back-off shows.
        let terminated = &container["state"]["terminated"];
        let failed = number(&terminated["exitCode"]) != 0;
        failed.then(|| {
            Health::degraded(format!(
                "container {name}: ended with {}",
                ended(terminated).unwrap_or_default()
            ))
        })
    })
}

fn waiting(object: &Value) -> Option<String> {
    all_containers(object).find_map(|container| {
        let waiting = &container["state"]["waiting"];
        let reason = waiting["reason"]
            .as_str()
            .filter(|reason| *reason != "PodInitializing")?;
        Some(format!(
            "container {}: {reason}",
            container["name"].as_str().unwrap_or_default()
        ))
    })
}

fn failed(object: &Value) -> String {
    let status = &object["status"];
    let ended = all_containers(object).find_map(|container| {
        let terminated = &container["state"]["terminated"];
        (number(&terminated["exitCode"]) != 0).then(|| {
            let name = container["name"].as_str().unwrap_or_default();
            format!(
                "container {name}: ended with {}",
                ended(terminated).unwrap_or_default()
            )
        })
    });
    let own = explain(status);
    match (own.is_empty(), ended) {
        (true, Some(ended)) => ended,
        (true, None) => "failed".to_owned(),
        (false, _) => own,
    }
}

/// `Error, exit code 1`
fn ended(terminated: &Value) -> Option<String> {
    let code = terminated["exitCode"].as_i64()?;
    Some(match terminated["reason"].as_str() {
        Some(reason) => format!("{reason}, exit code {code}"),
        None => format!("exit code {code}"),
    })
}

fn containers(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
}

fn all_containers(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["initContainerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
        .chain(containers(object))
}
