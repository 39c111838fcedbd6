//! Which run of a container there is now, and which of its logs to read: pure, from the pod's status.

use c7n_stream::{LogPosition, Start};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::streams::target;

/// One run of a container, as long as it has a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Of the container runtime; where the status names none, made of when it began.
    pub id: String,
    /// How many were before it.
    pub number: i32,
    pub running: bool,
    /// When the one before it ended, if its log is still there; the kubelet tells whole seconds.
    pub before_ended_ns: Option<i64>,
}

/// What the pod's status says of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    pub instance: Option<Instance>,
    /// Why there is none, or why it will not go on.
    pub why: String,
    /// The pod ends or has ended: no other run will come.
    pub last: bool,
    /// The pod is there no more.
    pub gone: bool,
}

pub fn see(pod: &Pod, container: &str) -> Seen {
    let last = target::is_over(pod);
    let status = target::status(pod, container);
    let state = status.and_then(|it| it.state.as_ref());
    let none = Seen {
        instance: None,
        why: target::why_not(pod, state),
        last,
        gone: false,
    };
    let Some(status) = status else {
        return none;
    };
    let before = status.last_state.as_ref().and_then(|it| it.terminated.as_ref());
    let number = status.restart_count;
    let instance = |id: String, running: bool, before: Option<&ContainerStateTerminated>| Instance {
        id,
        number,
        running,
        before_ended_ns: before.map(ended_ns),
    };
    let running = state.and_then(|it| it.running.as_ref());
    let ended = state.and_then(|it| it.terminated.as_ref());
    let found = match (running, ended) {
        (Some(running), _) => {
            let id = named(&status.container_id).unwrap_or_else(|| made(number, running.started_at.as_ref()));
            Some(instance(id, true, before))
        }
        // Whether there is a log of one without an id is for the kubelet to say.
        (None, Some(ended)) => {
            let id = named(&ended.container_id)
                .or_else(|| named(&status.container_id))
                .unwrap_or_else(|| made(number, ended.started_at.as_ref()));
            Some(instance(id, false, before))
        }
        // Between two runs the kubelet gives out the log of the last, if it knows its id.
        (None, None) => before
            .and_then(|it| named(&it.container_id))
            .map(|id| instance(id, false, None)),
    };
    Seen {
        instance: found,
        ..none
    }
}

fn named(id: &Option<String>) -> Option<String> {
    id.clone().filter(|id| !id.is_empty())
}

/// Some kubelets name no ids (kwok's). A run keeps its number and its beginning until it has ended.
fn made(number: i32, began: Option<&Time>) -> String {
    let began = began.map(|it| it.0.to_string()).unwrap_or_default();
    format!("run {number} of {began}")
}

fn ended_ns(ended: &ContainerStateTerminated) -> i64 {
    let nanos = ended
        .finished_at
        .as_ref()
        .map_or(i128::from(i64::MAX), |it| it.0.as_nanosecond());
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

/// One log to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub which: Which,
    pub start: Start,
    pub tail: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Present,
    Previous,
}

/// What a stream wants of each container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    pub previous: bool,
    pub since_ns: Option<i64>,
    pub tail: Option<i64>,
}

const SECOND: i64 = 1_000_000_000;

/// At the start: what is there, or what followed `after`.
pub fn first_runs(wanted: Wanted, after: Option<LogPosition>, instance: &Instance) -> Vec<Run> {
    let start = Start {
        after,
        since_ns: wanted.since_ns,
    };
    let run = |which| Run {
        which,
        start,
        tail: wanted.tail,
    };
    if wanted.previous {
        return vec![run(Which::Previous)];
    }
    // It may have died while nobody read, with more to say.
    let more_before = match (after, instance.before_ended_ns) {
        (Some(after), Some(ended)) => after.time_ns <= ended.saturating_add(SECOND),
        _ => false,
    };
    if more_before {
        vec![run(Which::Previous), run(Which::Present)]
    } else {
        vec![run(Which::Present)]
    }
}

/// After the run with number `before`: what a new one has, and what was missed of those between.
pub fn next_runs(
    before: i32,
    after: Option<LogPosition>,
    since_ns: Option<i64>,
    instance: &Instance,
) -> Vec<Run> {
    let run = |which| Run {
        which,
        start: Start { after, since_ns },
        tail: None,
    };
    if instance.number > before.saturating_add(1) && instance.before_ended_ns.is_some() {
        vec![run(Which::Previous), run(Which::Present)]
    } else {
        vec![run(Which::Present)]
    }
}

/// From which second to ask the kubelet, which knows no other times. One more, because lines can come late.
pub fn since_second(start: Start) -> Option<i64> {
    let from = start.after.map(|after| after.time_ns).max(start.since_ns)?;
    (from > 0).then(|| from / SECOND - 1)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(status: Value) -> Seen {
        let pod = serde_json::from_value(json!({
            "metadata": {"name": "web"},
            "status": {"phase": "Running", "containerStatuses": [{
                "name": "app", "image": "", "imageID": "", "ready": false,
                "restartCount": status["restarts"], "containerID": status["id"],
                "state": status["state"], "lastState": status["last"],
            }]},
        }))
        .unwrap();
        see(&pod, "app")
    }

    fn ended(id: &str) -> Value {
        json!({"terminated": {"exitCode": 1, "containerID": id, "finishedAt": "1970-01-01T00:00:07Z"}})
    }

    #[test]
    fn the_run_is_the_one_whose_log_the_kubelet_gives_out() {
        let running = json!({"running": {}});
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        for (status, wanted) in [
            (
                json!({"restarts": 0, "id": "a", "state": running}),
                Some(("a", 0, true, None)),
            ),
            (
                json!({"restarts": 3, "id": "b", "state": running, "last": ended("a")}),
                Some(("b", 3, true, Some(7 * SECOND))),
            ),
            (
                json!({"restarts": 3, "id": "b", "state": ended("b"), "last": ended("a")}),
                Some(("b", 3, false, Some(7 * SECOND))),
            ),
            (
                json!({"restarts": 3, "id": "a", "state": waiting, "last": ended("a")}),
                Some(("a", 3, false, None)),
            ),
            (json!({"restarts": 0, "id": "", "state": waiting}), None),
        ] {
            let found = seen(status.clone()).instance;
            let found = found
                .as_ref()
                .map(|it| (it.id.as_str(), it.number, it.running, it.before_ended_ns));
            assert_eq!(found, wanted, "{status}");
        }
        let none = seen(json!({"restarts": 0, "id": "", "state": waiting}));
        assert_eq!(none.why, "CrashLoopBackOff");
        let lost = json!({"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}});
        let none = seen(json!({"restarts": 1, "id": "", "state": waiting, "last": lost}));
        assert_eq!(none.instance, None, "the kubelet has no log of it");
    }

    #[test]
    fn a_container_that_runs_is_readable_without_an_id_and_is_the_same_when_it_has_ended() {
        let running = |began: &str| json!({"running": {"startedAt": began}});
        let ended = |began: &str| json!({"terminated": {"exitCode": 0, "startedAt": began, "finishedAt": "2026-01-01T00:00:09Z"}});
        let (first, second) = ("2026-01-01T00:00:01Z", "2026-01-01T00:00:05Z");
        for id in [json!(null), json!("")] {
            let run = |restarts: i32, state: Value| {
                let seen = seen(json!({"restarts": restarts, "id": id, "state": state}));
                seen.instance.expect("its log can be asked for")
            };
            let begun = run(0, running(first));
            assert!(begun.running);
            let over = run(0, ended(first));
            assert_eq!((over.id, over.running), (begun.id.clone(), false));
            for next in [
                run(1, running(first)),
                run(0, running(second)),
                run(1, running(second)),
            ] {
                assert_ne!(next.id, begun.id);
            }
            // Without any word about when.
            assert_eq!(
                run(0, json!({"running": {}})).id,
                run(0, json!({"terminated": {"exitCode": 0}})).id
            );
        }
    }

    #[test]
    fn who_comes_back_also_gets_the_end_of_a_run_that_died_meanwhile() {
        let instance = |before_ended_ns| Instance {
            id: "b".into(),
            number: 1,
            running: true,
            before_ended_ns,
        };
        let at = |time_ns| {
            Some(LogPosition {
                time_ns,
                nth: 1,
                offset: LogPosition::WHOLE,
            })
        };
        let which = |after, before_ended| -> Vec<Which> {
            first_runs(Wanted::default(), after, &instance(before_ended))
                .into_iter()
                .map(|run| run.which)
                .collect()
        };
        use Which::{Present, Previous};
        assert_eq!(which(None, Some(5 * SECOND)), [Present]);
        assert_eq!(which(at(4 * SECOND), Some(5 * SECOND)), [Previous, Present]);
        // The kubelet's 5 may be 5.9.
        assert_eq!(which(at(5 * SECOND + 900), Some(5 * SECOND)), [Previous, Present]);
        assert_eq!(which(at(7 * SECOND), Some(5 * SECOND)), [Present]);
        assert_eq!(which(at(4 * SECOND), None), [Present]);

        let next = |number| {
            let instance = Instance {
                number,
                ..instance(Some(1))
            };
            next_runs(1, at(1), None, &instance).len()
        };
        assert_eq!((next(2), next(3)), (1, 2), "one between was missed");
    }

    #[test]
    fn the_kubelet_is_asked_for_whole_seconds_and_one_more() {
        let position = |time_ns| LogPosition {
            time_ns,
            nth: 1,
            offset: 0,
        };
        let second = |after: Option<i64>, since_ns| {
            since_second(Start {
                after: after.map(position),
                since_ns,
            })
        };
        assert_eq!(second(None, None), None);
        assert_eq!(second(Some(9 * SECOND + 1), None), Some(8));
        assert_eq!(second(None, Some(5 * SECOND)), Some(4));
        assert_eq!(second(Some(9 * SECOND + 1), Some(5 * SECOND)), Some(8));
        assert_eq!(second(Some(0), None), None);
    }
}
