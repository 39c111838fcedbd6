//! What the status of the object says, and how it follows from what happened. Pure.
//!
//! Conditions keep the rules of kstatus: Reconciling and Stalled are there only while they are true, and a release that
//! is not as it is wanted has Ready=False.

use std::collections::BTreeMap;

use c7n_helm::{HookRun, SpecDigest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::history::History;
use super::past::{self, Past};

/// The longest text of one field, in bytes: enough for an error, little enough for a watch of many.
const LONGEST_TEXT: usize = 2048;
const MOST_HOOKS: usize = 20;
const LONGEST_LOG: usize = 4096;

/// Of the condition Ready, when a person has cancelled.
pub const CANCELLED: &str = "Cancelled";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    Pending,
    Installing,
    Upgrading,
    RollingBack,
    Stopping,
    Starting,
    Uninstalling,
    Deployed,
    Stopped,
    Failed,
}

impl Phase {
    /// A Helm operation goes on, or this process was killed in the middle of one.
    pub fn is_work(self) -> bool {
        matches!(
            self,
            Self::Installing | Self::Upgrading | Self::RollingBack | Self::Uninstalling
        )
    }

    pub fn is_about_size(self) -> bool {
        matches!(self, Self::Stopping | Self::Starting | Self::Stopped)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Installing => "Installing",
            Self::Upgrading => "Upgrading",
            Self::RollingBack => "RollingBack",
            Self::Stopping => "Stopping",
            Self::Starting => "Starting",
            Self::Uninstalling => "Uninstalling",
            Self::Deployed => "Deployed",
            Self::Stopped => "Stopped",
            Self::Failed => "Failed",
        }
    }
}

/// Sizes by `KIND/NAME`.
pub type Sizes = BTreeMap<String, i64>;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    pub phase: Option<Phase>,
    pub revision: Option<u32>,
    pub chart: Option<String>,
    pub chart_digest: Option<String>,
    pub commit: Option<String>,
    pub observed_generation: Option<i64>,
    pub observed_digest: Option<String>,
    pub last_error: Option<String>,
    pub conditions: Vec<Condition>,
    pub stopped_replicas: Option<Sizes>,
    pub stopped_revision: Option<u32>,
    pub hooks: Vec<Hook>,
    pub history: Vec<Past>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    #[serde(default)]
    pub message: String,
    pub last_transition_time: String,
    #[serde(default)]
    pub observed_generation: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    pub name: String,
    pub kind: String,
    pub event: String,
    pub phase: String,
    pub message: String,
    pub log: String,
}

/// What a plan must know of what was written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    pub phase: Option<Phase>,
    pub revision: Option<u32>,
    pub digest: Option<SpecDigest>,
    /// There are sizes to give back.
    pub stopped: bool,
    /// A person cancelled the making of just this generation.
    pub cancelled: bool,
}

/// What the status is to say now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report<'a> {
    /// Something begins.
    Working {
        phase: Phase,
        words: &'a str,
    },
    /// The revision is there.
    Released {
        deployed: Deployed<'a>,
    },
    Running,
    Stopped {
        words: &'a str,
    },
    Failed {
        reason: &'a str,
        words: &'a str,
    },
    /// Waits for something that is none of its own.
    Waiting {
        words: &'a str,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed<'a> {
    pub revision: u32,
    pub chart: &'a str,
    /// Not known of what a rollback brought back.
    pub chart_digest: Option<&'a str>,
    pub digest: &'a SpecDigest,
    pub commit: &'a str,
    /// What Helm's storage held before.
    pub kept: &'a History,
    /// For people: what became of what.
    pub words: &'a str,
}

impl Status {
    /// Reads `status`. What another version wrote and this one cannot read counts as never written.
    pub fn read(status: &Value) -> Self {
        serde_json::from_value(status.clone()).unwrap_or_default()
    }

    pub fn recorded(&self, generation: i64) -> Recorded {
        let cancelled = self.observed_generation == Some(generation)
            && self
                .condition("Ready")
                .is_some_and(|ready| ready.reason == CANCELLED);
        Recorded {
            phase: self.phase,
            revision: self.revision,
            digest: self.observed_digest.clone().map(SpecDigest::from_label),
            stopped: self.stopped_replicas.is_some(),
            cancelled,
        }
    }

    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Takes in what happened to the object of this generation.
    pub fn report(&mut self, report: &Report<'_>, generation: i64, now: &str) {
        // A wish that was seen for the first time owes nothing to the failures of the one before.
        let news = self.observed_generation != Some(generation);
        self.observed_generation = Some(generation);
        let mut set = |kind: &str, status: &str, reason: &str, message: &str| {
            set(
                &mut self.conditions,
                kind,
                status,
                reason,
                message,
                generation,
                now,
            );
        };
        match report {
            Report::Working { phase, words } => {
                set("Reconciling", "True", phase.as_str(), words);
                if news || !matches!(self.phase, Some(Phase::Failed)) {
                    set("Ready", "False", phase.as_str(), words);
                }
                self.phase = Some(*phase);
                if news {
                    self.remove("Stalled");
                    self.last_error = None;
                }
            }
            Report::Released { deployed } => {
                set("Released", "True", "Deployed", deployed.words);
                self.revision = Some(deployed.revision);
                self.chart = Some(deployed.chart.to_owned());
                if deployed.chart_digest.is_some() || news {
                    self.chart_digest = deployed.chart_digest.map(str::to_owned);
                }
                self.observed_digest = Some(deployed.digest.to_string());
                self.commit = Some(deployed.commit.to_owned()).filter(|commit| !commit.is_empty());
                self.last_error = None;
                self.remove("Stalled");
                self.note(deployed.revision, deployed.kept, now);
            }
            Report::Running => {
                set("Ready", "True", "Deployed", "the release is as it is wanted");
                self.settle(Phase::Deployed);
            }
            Report::Stopped { words } => {
                set("Ready", "True", "Stopped", words);
                self.settle(Phase::Stopped);
            }
            Report::Failed { reason, words } => {
                let words = cut(words, LONGEST_TEXT);
                set("Ready", "False", reason, &words);
                set("Stalled", "True", reason, &words);
                // Sizes are no part of a revision.
                if !matches!(*reason, "StopFailed" | "StartFailed") {
                    set("Released", "False", reason, &words);
                }
                self.phase = Some(Phase::Failed);
                self.last_error = Some(words);
                self.remove("Reconciling");
            }
            Report::Waiting { words } => {
                set("Reconciling", "True", "Pending", words);
                set("Ready", "False", "Pending", words);
                self.phase = Some(Phase::Pending);
            }
        }
    }

    /// `None`: everything is as the chart made it.
    pub fn report_drift(&mut self, drift: Option<&str>, generation: i64, now: &str) {
        match drift {
            Some(words) => set(
                &mut self.conditions,
                "Drifted",
                "True",
                "Changed",
                &cut(words, LONGEST_TEXT),
                generation,
                now,
            ),
            None => set(
                &mut self.conditions,
                "Drifted",
                "False",
                "InSync",
                "",
                generation,
                now,
            ),
        }
    }

    pub fn report_hooks(&mut self, hooks: &[HookRun]) {
        if hooks.is_empty() {
            return;
        }
        let kept = &hooks[hooks.len().saturating_sub(MOST_HOOKS)..];
        self.hooks = kept.iter().map(Hook::of).collect();
    }

    /// The release is again what it was: a revision that copies an earlier one.
    pub fn report_rolled_back(&mut self, revision: u32, kept: &History, now: &str) {
        self.revision = Some(revision);
        self.note(revision, kept, now);
    }

    /// The revision is made of the commit and the chart that are told.
    fn note(&mut self, revision: u32, kept: &History, now: &str) {
        let known = self.history.iter().find(|past| past.revision == revision);
        let time = known
            .filter(|past| past.commit == self.commit)
            .and_then(|past| past.time.clone());
        let newest = Past {
            revision,
            commit: self.commit.clone(),
            chart: self.chart.clone(),
            time: time.or_else(|| Some(now.to_owned())),
        };
        self.history = past::add(&self.history, kept, newest);
    }

    fn settle(&mut self, phase: Phase) {
        self.phase = Some(phase);
        self.last_error = None;
        self.remove("Reconciling");
        self.remove("Stalled");
    }

    fn remove(&mut self, kind: &str) {
        self.conditions.retain(|condition| condition.kind != kind);
    }

    /// The merge patch that makes `before` into this; `None` if nothing is other.
    pub fn patch_from(&self, before: &Self) -> Option<Value> {
        if self == before {
            return None;
        }
        // Sizes are merged key by key, and one that is gone must be said.
        let mut status = json!(self);
        if let (Some(old), Some(new)) = (&before.stopped_replicas, &self.stopped_replicas) {
            for gone in old.keys().filter(|key| !new.contains_key(*key)) {
                status["stoppedReplicas"][gone] = Value::Null;
            }
        }
        Some(json!({ "status": status }))
    }
}

impl Hook {
    fn of(run: &HookRun) -> Self {
        Self {
            name: run.name.clone(),
            kind: run.kind.clone(),
            event: run.event.to_string(),
            phase: run.phase.to_string(),
            message: cut(&run.message, LONGEST_TEXT),
            log: tail(&run.log, LONGEST_LOG),
        }
    }
}

/// The time of transition is that of the last change of `status`, as `metav1.Condition` asks.
fn set(
    conditions: &mut Vec<Condition>,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    generation: i64,
    now: &str,
) {
    let known = conditions.iter_mut().find(|condition| condition.kind == kind);
    match known {
        Some(known) => {
            if known.status != status {
                now.clone_into(&mut known.last_transition_time);
            }
            status.clone_into(&mut known.status);
            reason.clone_into(&mut known.reason);
            message.clone_into(&mut known.message);
            known.observed_generation = generation;
        }
        None => conditions.push(Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            last_transition_time: now.to_owned(),
            observed_generation: generation,
        }),
    }
}

fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let end = (0..=longest).rev().find(|at| text.is_char_boundary(*at));
    format!("{} …", &text[..end.unwrap_or(0)])
}

fn tail(text: &str, longest: usize) -> String {
    let from = text.len().saturating_sub(longest);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at));
    text[from.unwrap_or(text.len())..].to_owned()
}

#[cfg(test)]
mod tests;
