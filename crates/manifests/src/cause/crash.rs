//! Containers that ended and should not have.

use serde_json::Value;

use super::{Clue, Clues, Crash, Run, Trouble, newest, words};
use crate::health::conditions::{number, word};

/// `ended` is how the run ended, `status` the status of the container; `name` says which in words.
pub(super) fn crashed(name: &str, status: &Value, ended: &Value, run: Run, memory: Option<&str>) -> Trouble {
    let restarts = number(&status["restartCount"]);
    let again = match restarts {
        0 => String::new(),
        restarts => format!(", {}", words::count(restarts, "restart")),
    };
    let container = word(status, "name").to_owned();
    let message = word(ended, "message");
    let reason = word(ended, "reason");
    if matches!(reason, "StartError" | "ContainerCannotRun") {
        return Trouble::told(format!("{name} cannot be started: {}", unstartable(message)));
    }
    let how = match (reason, ended["exitCode"].as_i64()) {
        ("OOMKilled", _) => match memory {
            Some(limit) => format!("{name} ran out of memory and was killed (its limit is {limit})"),
            None => format!("{name} ran out of memory and was killed"),
        },
        (_, Some(0)) => format!("{name} ends with exit code 0, and should go on running"),
        (_, Some(code)) => format!("{name} crashes with exit code {code}{}", meaning(code)),
        (_, None) => format!("{name} crashes"),
    };
    Trouble {
        sentence: format!("{how}{again}"),
        // Whoever is killed by the kubelet ends with one of these, or tidies up and ends with 0.
        clues: Clues::Liveness {
            container: container.clone(),
            restarts,
        },
        crash: Some(Crash {
            container,
            restarts,
            run,
        }),
    }
}

/// It did not crash: the kubelet ended it.
pub(super) fn liveness(events: &[Clue<'_>], container: &str, restarts: i64) -> Option<String> {
    let of_it: Vec<Clue<'_>> = events
        .iter()
        .filter(|event| event.container.is_empty() || event.container == container)
        .copied()
        .collect();
    let killed = of_it
        .iter()
        .any(|event| event.reason == "Killing" && event.message.contains("probe"));
    let probes: Vec<Clue<'_>> = of_it
        .into_iter()
        .filter(|event| event.reason != "Unhealthy" || !event.message.starts_with("Readiness"))
        .collect();
    let event = newest(&probes, &["Unhealthy"], &[]).filter(|_| killed)?;
    let (probe, why) = super::pod::probe_words(event.message);
    let again = words::count(restarts, "restart");
    Some(format!(
        "container {container} is ended because its {probe} probe fails, {again}: {why}"
    ))
}

/// What `runc` says in many words.
pub(super) fn unstartable(message: &str) -> String {
    let said = words::behind(
        message,
        &[
            "unable to start container process: ",
            "failed to start container: ",
            "OCI runtime exec failed: ",
        ],
    );
    let said = said.strip_suffix(": unknown").unwrap_or(said);
    said.replace("error during container init: ", "")
}

fn meaning(code: i64) -> &'static str {
    match code {
        126 => " (its command cannot be executed)",
        127 => " (its command was not found)",
        134 => " (it aborted itself)",
        137 => " (it was killed)",
        139 => " (it touched memory that is not its own)",
        143 => " (it was told to end)",
        _ => "",
    }
}
