use serde_json::Value;

use super::{Health, HealthStatus, condition, number, text, told};

/// Waiting reasons that do not pass by themselves.
const BROKEN: [&str; 8] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

pub(super) fn pod(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Succeeded" => return Health::healthy(),
        "Failed" => return Health::degraded(why_failed(object)),
        "Unknown" => return Health::new(HealthStatus::Unknown, "the node of this pod does not answer"),
        _ => {}
    }
    let containers = || {
        ["initContainerStatuses", "containerStatuses"]
            .iter()
            .filter_map(|list| object["status"][*list].as_array())
            .flatten()
    };
    for container in containers() {
        let reason = text(container, "/state/waiting/reason");
        if BROKEN.contains(&reason) {
            return Health::degraded(broken(container, reason));
        }
    }
    if let Some(("False", "Unschedulable", message)) = condition(object, "PodScheduled") {
        return Health::degraded(told("no node can take it", message));
    }
    if let Some(("True", ..)) = condition(object, "Ready") {
        return Health::healthy();
    }
    let unready = containers()
        .find(|container| container["ready"] == false && container.pointer("/state/running").is_some());
    match unready {
        Some(container) => {
            Health::progressing(format!("container {} is not ready", text(container, "/name")))
        }
        None => Health::progressing(match condition(object, "Ready") {
            Some((_, reason, message)) => told(reason, message),
            None => "it has not started yet".to_owned(),
        }),
    }
}

fn broken(container: &Value, reason: &str) -> String {
    let name = text(container, "/name");
    match reason {
        "CrashLoopBackOff" => {
            let code = container
                .pointer("/lastState/terminated/exitCode")
                .and_then(Value::as_i64);
            let ended = code.map_or_else(String::new, |code| format!(", last with exit code {code}"));
            format!(
                "container {name} keeps ending ({reason}): {} restarts{ended}",
                number(container, "/restartCount")
            )
        }
        _ => format!(
            "container {name}: {}",
            told(reason, text(container, "/state/waiting/message"))
        ),
    }
}

fn why_failed(object: &Value) -> String {
    let pod = told(text(object, "/status/reason"), text(object, "/status/message"));
    if !pod.is_empty() {
        return pod;
    }
    let ended = object["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|container| {
            let ended = container.pointer("/state/terminated")?;
            let code = ended["exitCode"].as_i64().filter(|code| *code != 0)?;
            Some(format!(
                "container {} ended with exit code {code} ({})",
                text(container, "/name"),
                text(ended, "/reason")
            ))
        });
    ended.unwrap_or_else(|| "the pod has failed".to_owned())
}
