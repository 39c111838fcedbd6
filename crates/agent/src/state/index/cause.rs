//! Why an object is not well: what it says itself, joined with its events and the last words of its containers.
//!
//! The three come in any order. Whatever comes, the sentence is made anew from all that is known by then, so that the order
//! makes no difference. An object that is well costs nothing here.

use std::collections::HashMap;
use std::sync::Arc;

use c7n_link::messages::{ObjectState, Say};
use c7n_manifests::{Clue, Crash, Run, Trouble};
use prost::Message;

use super::{Effects, Index};
use crate::cluster::KindName;
use crate::state::observe::Observed;

/// A container whose log would say why it crashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub namespace: Arc<str>,
    pub pod: Box<str>,
    pub uid: Box<str>,
    pub container: String,
    /// With the container, which of its runs.
    pub restarts: i64,
    pub run: Run,
}

/// By uid of the pod; kept as long as the pod is there, because one that crashes is well again between two crashes.
#[derive(Debug, Default)]
pub(super) struct Tails(HashMap<Box<str>, Tail>);

#[derive(Debug)]
struct Tail {
    container: String,
    /// The newest run that was asked for.
    restarts: i64,
    /// Of that run, or of the one before as long as there is no answer.
    lines: Vec<String>,
}

impl Tails {
    pub fn forget(&mut self, uid: &str) {
        self.0.remove(uid);
    }

    fn lines(&self, uid: &str, crash: Option<&Crash>) -> &[String] {
        self.0
            .get(uid)
            .filter(|tail| crash.is_some_and(|crash| crash.container == tail.container))
            .map_or(&[], |tail| &tail.lines)
    }

    /// True when nobody has asked for this run yet.
    fn ask(&mut self, uid: &str, crash: &Crash) -> bool {
        match self.0.get_mut(uid) {
            Some(tail) if tail.container == crash.container => {
                let new = tail.restarts < crash.restarts;
                tail.restarts = tail.restarts.max(crash.restarts);
                new
            }
            _ => {
                let tail = Tail {
                    container: crash.container.clone(),
                    restarts: crash.restarts,
                    lines: Vec::new(),
                };
                self.0.insert(uid.into(), tail);
                true
            }
        }
    }
}

impl Index {
    /// Writes the cause into what was seen, and asks for the log of a container that crashed.
    pub(super) fn explain(&mut self, name: &KindName, seen: &mut Observed, effects: &mut Effects) {
        let Some(trouble) = &seen.trouble else {
            return;
        };
        if let Some(crash) = trouble.crash()
            && self.tails.ask(&seen.uid, crash)
        {
            effects.wishes.push(Wish {
                namespace: seen.namespace.clone(),
                pod: seen.name.clone(),
                uid: seen.uid.clone(),
                container: crash.container.clone(),
                restarts: crash.restarts,
                run: crash.run,
            });
        }
        let subject = format!("{}/{}", name.kind, seen.name);
        let cause = self.sentence(&seen.namespace, &subject, &seen.uid, trouble);
        seen.state.cause = more_than(&seen.state.message, cause);
    }

    /// An event came or went: what it speaks of may have another cause now. `subject` is kind and name.
    pub(super) fn explain_anew(&mut self, namespace: &Arc<str>, subject: &str) -> Effects {
        let mut effects = Effects::default();
        let Some((kind, object)) = subject.split_once('/') else {
            return effects;
        };
        // Events name no group; kinds of one name in two groups are few.
        let names: Vec<KindName> = self
            .kinds
            .keys()
            .filter(|name| name.kind == kind)
            .cloned()
            .collect();
        for name in names {
            effects.and(self.explain_entry(&name, namespace, object));
        }
        effects
    }

    /// The log was read. `None` lets it be asked for again when the pod is next seen.
    pub fn tail(&mut self, wish: &Wish, lines: Option<Vec<String>>) -> Effects {
        let Some(lines) = lines else {
            self.unwish(wish);
            return Effects::default();
        };
        let Some(tail) = self.tails.0.get_mut(&wish.uid) else {
            return Effects::default();
        };
        // A later run may have been asked for meanwhile; its answer comes later too.
        if tail.container != wish.container || tail.restarts < wish.restarts {
            return Effects::default();
        }
        if lines.is_empty() || tail.lines == lines {
            return Effects::default();
        }
        tail.lines = lines;
        self.explain_entry(&KindName::new("", "Pod"), &wish.namespace, &wish.pod)
    }

    /// Nobody reads this log; it may be asked for again.
    pub fn unwish(&mut self, wish: &Wish) {
        if let Some(tail) = self.tails.0.get_mut(&wish.uid)
            && tail.container == wish.container
            && tail.restarts == wish.restarts
        {
            tail.restarts -= 1;
        }
    }

    /// States of all objects that have a cause.
    pub fn causes(&self) -> impl Iterator<Item = ObjectState> {
        self.kinds
            .values()
            .flat_map(|kind| kind.objects.values())
            .flat_map(HashMap::values)
            .filter(|entry| entry.trouble.is_some())
            // What this table encoded decodes.
            .filter_map(|entry| ObjectState::decode(&*entry.state).ok())
            .filter(|state| !state.cause.is_empty())
    }

    fn explain_entry(&mut self, name: &KindName, namespace: &Arc<str>, object: &str) -> Effects {
        let mut effects = Effects::default();
        let Some(entry) = self.entry(name, namespace, object) else {
            return effects;
        };
        let (Some(trouble), Ok(mut state)) = (&entry.trouble, ObjectState::decode(&*entry.state)) else {
            return effects;
        };
        let subject = format!("{}/{object}", name.kind);
        let cause = self.sentence(namespace, &subject, &entry.uid, trouble);
        let cause = more_than(&state.message, cause);
        if cause == state.cause {
            return effects;
        }
        state.cause = cause;
        let Some(kind) = self.kinds.get_mut(name) else {
            return effects;
        };
        let entry = kind
            .objects
            .get_mut(namespace)
            .and_then(|objects| objects.get_mut(object));
        if let Some(entry) = entry {
            entry.state = state.encode_to_vec().into();
            if kind.covered.contains(&entry.home.environment) {
                effects.says.push(Say::State(state));
            }
        }
        effects
    }

    fn sentence(&self, namespace: &Arc<str>, subject: &str, uid: &str, trouble: &Trouble) -> String {
        let events: Vec<ObjectState> = self.events_of(namespace, subject, uid);
        let clues: Vec<Clue<'_>> = events.iter().map(clue).collect();
        trouble.cause(&clues, self.tails.lines(uid, trouble.crash()))
    }

    /// The newest first. An earlier object of the same name has its own uid.
    fn events_of(&self, namespace: &Arc<str>, subject: &str, uid: &str) -> Vec<ObjectState> {
        let name = KindName::new("", "Event");
        let Some(kind) = self.kinds.get(&name) else {
            return Vec::new();
        };
        let (Some(events), Some(objects)) = (&kind.events, kind.objects.get(namespace)) else {
            return Vec::new();
        };
        events
            .of(namespace, subject)
            .filter_map(|event| ObjectState::decode(&*objects.get(event)?.state).ok())
            .filter(|event| event.summary.get("objectUid").is_none_or(|of| of == uid))
            .collect()
    }
}

fn clue(event: &ObjectState) -> Clue<'_> {
    let word = |key: &str| event.summary.get(key).map_or("", String::as_str);
    Clue {
        reason: word("reason"),
        message: word("message"),
        container: word("container"),
    }
}

/// What the message says already is not said twice.
fn more_than(message: &str, cause: String) -> String {
    if cause == message { String::new() } else { cause }
}
