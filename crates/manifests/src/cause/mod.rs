//! Why an object is not well, in one sentence for a person.
//!
//! In come the object, as the API server gives it, the newest events that speak of it, and the last words of a container that
//! crashed. They come at different times, and the object is not kept: [`trouble`] takes from it what is worth keeping, and
//! [`Trouble::cause`] says the sentence whenever more is known. What controllers, registries and applications say is data: it
//! is shortened, freed of control characters, and never decides more than which words are chosen.

mod crash;
mod creation;
mod image;
mod pod;
mod volume;
mod words;

use serde_json::Value;

use crate::health::{Health, HealthStatus};
pub use words::last_words;

/// What of an unwell object is worth keeping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What to say when nothing else is known.
    sentence: String,
    clues: Clues,
    crash: Option<Crash>,
}

/// Which events could say more.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Clues {
    None,
    /// Something is missing before a container can be made.
    Start,
    /// These containers run and are not ready.
    Probe(Vec<String>),
    /// A container ends again and again, perhaps because it is ended.
    Liveness {
        container: String,
        restarts: i64,
    },
    Pull {
        container: String,
        image: String,
    },
    /// Pods cannot be made.
    Creation,
    Claim,
}

/// A container whose last words would say more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    pub container: String,
    /// Which of its runs ended; with the container this names the run.
    pub restarts: i64,
    pub run: Run,
}

/// Where the log of the run that ended is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// It is the last one that there was.
    Newest,
    /// Another one may have begun.
    Previous,
}

/// An event that speaks of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clue<'a> {
    pub reason: &'a str,
    pub message: &'a str,
    /// Empty when it speaks of no container.
    pub container: &'a str,
}

/// `None` for an object that is well, and for one whose health already says all there is.
pub fn trouble(object: &Value, health: &Health) -> Option<Trouble> {
    let unwell = !matches!(health.status, HealthStatus::Healthy | HealthStatus::Suspended);
    if !unwell || !object["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    let api_version = object["apiVersion"].as_str()?;
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, object["kind"].as_str()?) {
        ("", "Pod") => pod::pod(object),
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("", "ReplicationController") => creation::workload(object, health),
        ("batch", "Job") => creation::job(object, health),
        ("", "PersistentVolumeClaim") => Some(volume::claim(health)),
        _ => None,
    }
}

impl Trouble {
    /// A container whose log is worth a look.
    pub fn crash(&self) -> Option<&Crash> {
        self.crash.as_ref()
    }

    /// One sentence; below it, line by line, the last words of the container that crashed. `events` are the newest first.
    pub fn cause(&self, events: &[Clue<'_>], last_words: &[String]) -> String {
        let told = match &self.clues {
            Clues::None => None,
            Clues::Start => pod::start(events),
            Clues::Probe(containers) => pod::probe(events, containers),
            Clues::Liveness { container, restarts } => crash::liveness(events, container, *restarts),
            Clues::Pull { container, image } => image::pull(events, container, image),
            Clues::Creation => creation::refused(events),
            Clues::Claim => volume::provision(events),
        };
        let mut text = words::sentence(&told.unwrap_or_else(|| self.sentence.clone()));
        if self.crash.is_some() {
            for line in last_words {
                text.push('\n');
                text.push_str(line);
            }
        }
        text
    }

    fn told(sentence: String) -> Self {
        Self {
            sentence,
            clues: Clues::None,
            crash: None,
        }
    }

    fn asks(sentence: impl Into<String>, clues: Clues) -> Self {
        Self {
            sentence: sentence.into(),
            clues,
            crash: None,
        }
    }
}

/// The newest event with one of these reasons, unless one of `over` came after it.
fn newest<'a, 'b>(events: &'a [Clue<'b>], telling: &[&str], over: &[&str]) -> Option<&'a Clue<'b>> {
    let at = events
        .iter()
        .position(|event| telling.contains(&event.reason) || over.contains(&event.reason))?;
    Some(&events[at]).filter(|event| telling.contains(&event.reason))
}
