//! Which container of a pod is meant, and in what state it is: pure, from the pod as the API server has it.

use c7n_stream::{End, EndCode};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};

const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// All containers of a pod by name and image: those of the start, the usual ones, those for debugging.
pub fn containers(pod: &Pod) -> Vec<(&str, &str)> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let init = spec.init_containers.iter().flatten();
    let usual = spec.containers.iter();
    let debug = spec.ephemeral_containers.iter().flatten();
    init.chain(usual)
        .map(|it| (it.name.as_str(), it.image.as_deref().unwrap_or_default()))
        .chain(debug.map(|it| (it.name.as_str(), it.image.as_deref().unwrap_or_default())))
        .collect()
}

/// The one that is named, or the one that `kubectl` would take.
pub fn container(pod: &Pod, named: &str) -> Result<String, End> {
    let all = containers(pod);
    let annotated = || {
        let annotations = pod.metadata.annotations.as_ref()?;
        let name = annotations.get(DEFAULT_CONTAINER)?;
        all.iter().any(|(it, _)| it == name).then(|| name.clone())
    };
    let first = || {
        let spec = pod.spec.as_ref()?;
        Some(spec.containers.first()?.name.clone())
    };
    let found = if named.is_empty() {
        annotated().or_else(first)
    } else {
        all.iter().any(|(it, _)| *it == named).then(|| named.to_owned())
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        End::new(
            EndCode::NotFound,
            format!(
                "the pod {} has no container {named}; it has {}",
                name(pod),
                names.join(", ")
            ),
        )
    })
}

pub fn image<'a>(pod: &'a Pod, container: &str) -> &'a str {
    containers(pod)
        .into_iter()
        .find(|(name, _)| *name == container)
        .map_or("", |(_, image)| image)
}

pub fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

pub fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

pub fn status<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten();
    let usual = status.container_statuses.iter().flatten();
    let debug = status.ephemeral_container_statuses.iter().flatten();
    init.chain(usual).chain(debug).find(|it| it.name == container)
}

/// Nothing of the pod runs any more, or ever will.
pub fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Why no process can be started in it now.
pub fn must_run(pod: &Pod, container: &str) -> Result<(), End> {
    let state = status(pod, container).and_then(|it| it.state.as_ref());
    if state.is_some_and(|it| it.running.is_some()) {
        return Ok(());
    }
    Err(End::new(
        EndCode::NotFound,
        format!(
            "the container {container} of the pod {} does not run: {}; look at its log with `c7n logs`, or try again when it \
             runs",
            name(pod),
            why_not(pod, state)
        ),
    ))
}

/// Why a container does not run, without an end.
pub fn why_not(pod: &Pod, state: Option<&ContainerState>) -> String {
    if let Some(waiting) = state.and_then(|it| it.waiting.as_ref()) {
        let reason = waiting.reason.as_deref().unwrap_or("it waits");
        return match waiting.message.as_deref().filter(|it| !it.is_empty()) {
            Some(message) => format!("{reason} ({})", message.trim_end_matches('.')),
            None => reason.to_owned(),
        };
    }
    if let Some(ended) = state.and_then(|it| it.terminated.as_ref()) {
        let reason = ended.reason.as_deref().unwrap_or_default();
        return format!("it ended with exit code {} {reason}", ended.exit_code)
            .trim_end()
            .to_owned();
    }
    let status = pod.status.as_ref();
    let unscheduled = status
        .and_then(|it| it.conditions.as_ref())
        .and_then(|it| {
            it.iter()
                .find(|it| it.type_ == "PodScheduled" && it.status == "False")
        })
        .and_then(|it| it.message.as_deref());
    match unscheduled {
        Some(message) => format!("it has no node ({})", message.trim_end_matches('.')),
        None => format!(
            "the pod is {}",
            status.and_then(|it| it.phase.as_deref()).unwrap_or("unknown")
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(annotations: Value, state: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "annotations": annotations},
            "spec": {
                "initContainers": [{"name": "migrate", "image": "m:1"}],
                "containers": [{"name": "app", "image": "a:1"}, {"name": "proxy", "image": "p:1"}],
                "ephemeralContainers": [{"name": "debugger", "image": "d:1"}],
            },
            "status": {"phase": "Pending", "containerStatuses": [{
                "name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state,
            }]},
        }))
        .unwrap()
    }

    #[test]
    fn without_a_name_it_is_the_one_that_kubectl_takes() {
        let chosen = |annotation: &str, named: &str| {
            container(&pod(json!({DEFAULT_CONTAINER: annotation}), json!({})), named)
                .map_err(|end| end.message)
        };
        assert_eq!(chosen("proxy", ""), Ok("proxy".into()));
        assert_eq!(chosen("gone", ""), Ok("app".into()));
        assert_eq!(chosen("proxy", "migrate"), Ok("migrate".into()));
        assert_eq!(chosen("proxy", "debugger"), Ok("debugger".into()));
        assert_eq!(
            chosen("proxy", "x"),
            Err("the pod web has no container x; it has migrate, app, proxy, debugger".into())
        );
        assert_eq!(image(&pod(json!({}), json!({})), "debugger"), "d:1");
    }

    #[test]
    fn a_container_that_does_not_run_says_why() {
        for (state, words) in [
            (
                json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling."}}),
                "does not run: ImagePullBackOff (Back-off pulling); look",
            ),
            (
                json!({"terminated": {"exitCode": 7, "reason": "Error"}}),
                "does not run: it ended with exit code 7 Error; look",
            ),
            (json!({}), "does not run: the pod is Pending; look"),
        ] {
            let end = must_run(&pod(json!({}), state), "app").unwrap_err();
            assert!(end.message.contains(words), "{}", end.message);
            assert_eq!(end.code(), EndCode::NotFound);
        }
        let running = pod(
            json!({}),
            json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}}),
        );
        assert_eq!(must_run(&running, "app"), Ok(()));
    }
}
