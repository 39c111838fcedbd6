//! Pods: what keeps them from running, from the first container on.

use serde_json::Value;

use super::{Clue, Clues, Run, Trouble, crash, image, newest, volume, words};
use crate::health::conditions::{condition, word};

pub(super) fn pod(object: &Value) -> Option<Trouble> {
    let status = &object["status"];
    if status["phase"] == "Failed" {
        return Some(failed(object));
    }
    if let Some(stuck) = containers(object).find_map(|container| container.stuck()) {
        return Some(stuck);
    }
    if let Some(scheduled) = condition(object, "PodScheduled").filter(|c| c["status"] == "False") {
        let message = word(scheduled, "message");
        return Some(Trouble::told(match word(scheduled, "reason") {
            "SchedulingGated" => "is held back by its scheduling gates".to_owned(),
            _ => format!("cannot be scheduled: {}", nodes(message)),
        }));
    }
    if status["phase"] == "Running" {
        let unready: Vec<String> = containers(object)
            .filter(|container| !container.init && container.status["ready"] != true)
            .map(|container| container.name().to_owned())
            .collect();
        if unready.is_empty() {
            return None;
        }
        let told = format!("container {} runs and is not ready", unready.join(", "));
        return Some(Trouble::asks(told, Clues::Probe(unready)));
    }
    let waiting = containers(object).find_map(|container| {
        let reason = word(&container.status["state"]["waiting"], "reason");
        (!matches!(reason, "" | "PodInitializing")).then(|| format!("{}: {reason}", container.words()))
    });
    Some(Trouble::asks(
        waiting.unwrap_or_else(|| "is starting".to_owned()),
        Clues::Start,
    ))
}

fn failed(object: &Value) -> Trouble {
    let status = &object["status"];
    // Evicted, shut down with its node: the pod says why, and its containers ended for it.
    let (reason, message) = (word(status, "reason"), word(status, "message"));
    if !message.is_empty() || !reason.is_empty() {
        let why = if message.is_empty() { reason } else { message };
        return Trouble::told(match reason {
            "Evicted" => format!("was evicted: {why}"),
            "DeadlineExceeded" => format!("took longer than it may: {why}"),
            _ => format!("has failed: {why}"),
        });
    }
    containers(object)
        .find_map(|container| {
            let ended = &container.status["state"]["terminated"];
            let bad = ended["exitCode"].as_i64().is_some_and(|code| code != 0);
            bad.then(|| container.crashed(ended, Run::Newest))
        })
        .unwrap_or_else(|| Trouble::told("has failed".to_owned()))
}

/// What the events of a pod say that waits for its containers.
pub(super) fn start(events: &[Clue<'_>]) -> Option<String> {
    let telling = [
        "FailedMount",
        "FailedAttachVolume",
        "FailedMapVolume",
        "FailedCreatePodSandBox",
        "FailedCreatePodContainer",
        "NetworkNotReady",
        "Pulling",
    ];
    let over = ["Pulled", "Created", "Started", "SuccessfulMountVolume"];
    let event = newest(events, &telling, &over)?;
    Some(match event.reason {
        "Pulling" => match words::quoted(event.message, "image") {
            Some(image) => format!("the image {image} is being pulled"),
            None => return None,
        },
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => {
            volume::unmounted(event.reason, event.message)
        }
        "FailedCreatePodSandBox" => format!(
            "its sandbox cannot be made: {}",
            crash::unstartable(words::behind(event.message, &["desc = ", "sandbox: "]))
        ),
        _ => event.message.to_owned(),
    })
}

/// Which probe of a container that is not ready fails, and with what words.
pub(super) fn probe(events: &[Clue<'_>], containers: &[String]) -> Option<String> {
    let of_it: Vec<Clue<'_>> = events
        .iter()
        .filter(|event| event.container.is_empty() || containers.iter().any(|name| name == event.container))
        .copied()
        .collect();
    let event = newest(&of_it, &["Unhealthy", "ProbeError"], &["Started"])?;
    let (probe, why) = probe_words(event.message);
    let container = match event.container {
        "" => containers.first().map_or("", String::as_str),
        container => container,
    };
    Some(format!("the {probe} probe of container {container} fails: {why}"))
}

/// `Readiness probe failed: HTTP probe failed with statuscode: 503`
pub(super) fn probe_words(message: &str) -> (String, String) {
    // Many events that differ in a number only are told as one.
    let message = message
        .strip_prefix("(combined from similar events): ")
        .unwrap_or(message);
    let probe = message.split(' ').next().unwrap_or_default().to_lowercase();
    let why = message
        .split_once(" probe failed: ")
        .or_else(|| message.split_once(" probe errored and resulted in unknown state: "))
        .or_else(|| message.split_once(" probe errored: "))
        .map_or(message, |(_, why)| why);
    let why = match why.strip_prefix("HTTP probe failed with statuscode: ") {
        Some(code) => format!("HTTP status {code}"),
        None => crash::unstartable(why),
    };
    (probe, why)
}

/// `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {x: }. preemption: ...`
fn nodes(message: &str) -> String {
    let Some((nodes, reasons)) = message.split_once(" nodes are available: ") else {
        return message.to_owned();
    };
    let total = nodes.split_once('/').map_or("", |(_, total)| total);
    let reasons = reasons
        .split(". ")
        .next()
        .unwrap_or(reasons)
        .trim_end_matches('.');
    let reasons = reasons
        .replace("Insufficient ", "insufficient ")
        .replace("node(s) ", "");
    // The number adds nothing where all nodes are told of at once.
    let only = reasons
        .split_once(' ')
        .filter(|(count, _)| *count == total && !reasons.contains(", "));
    format!(
        "{nodes} nodes: {}",
        only.map_or(reasons.as_str(), |(_, reason)| reason)
    )
}

struct Container<'a> {
    spec: &'a Value,
    status: &'a Value,
    init: bool,
}

impl Container<'_> {
    fn name(&self) -> &str {
        word(self.status, "name")
    }

    fn words(&self) -> String {
        format!(
            "{} {}",
            if self.init { "init container" } else { "container" },
            self.name()
        )
    }

    fn stuck(&self) -> Option<Trouble> {
        let state = &self.status["state"];
        let (waiting, ended) = (&state["waiting"], &state["terminated"]);
        let last = &self.status["lastState"]["terminated"];
        let message = word(waiting, "message");
        match word(waiting, "reason") {
            "" => {}
            "CrashLoopBackOff" => return Some(self.crashed(last, Run::Previous)),
            "CreateContainerConfigError" => {
                return Some(Trouble::told(format!(
                    "{} cannot be made: {}",
                    self.words(),
                    volume::missing(message)
                )));
            }
            "CreateContainerError" | "RunContainerError" | "StartError" | "PostStartHookError" => {
                return Some(Trouble::told(format!(
                    "{} cannot be started: {}",
                    self.words(),
                    crash::unstartable(message)
                )));
            }
            reason if image::REASONS.contains(&reason) => {
                let image = match word(self.spec, "image") {
                    "" => word(self.status, "image"),
                    image => image,
                };
                return Some(image::unpulled(&self.words(), image, waiting));
            }
            _ => {}
        }
        let bad = ended["exitCode"].as_i64().is_some_and(|code| code != 0);
        bad.then(|| self.crashed(ended, Run::Newest))
    }

    fn crashed(&self, ended: &Value, run: Run) -> Trouble {
        let memory = self.spec["resources"]["limits"]["memory"].as_str();
        crash::crashed(&self.words(), self.status, ended, run, memory)
    }
}

/// Init containers first, as they run.
fn containers(object: &Value) -> impl Iterator<Item = Container<'_>> {
    let of = |specs: &'static str, statuses: &'static str, init: bool| {
        object["status"][statuses]
            .as_array()
            .into_iter()
            .flatten()
            .map(move |status| Container {
                spec: object["spec"][specs]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find(|spec| spec["name"] == status["name"])
                    .unwrap_or(&Value::Null),
                status,
                init,
            })
    };
    of("initContainers", "initContainerStatuses", true).chain(of("containers", "containerStatuses", false))
}
