//! Events come without end: of each object only the newest few are kept, and they say why it is not well. Pure.

use std::collections::HashMap;
use std::sync::Arc;

/// Enough to see a crash loop, few enough for a list.
const PER_SUBJECT: usize = 5;

/// Namespace and name.
type Place = (Arc<str>, Box<str>);

#[derive(Debug, Default)]
pub struct Events {
    /// Times and names, the oldest first.
    by_subject: HashMap<Place, Vec<(i64, Box<str>)>>,
    subject_of: HashMap<Place, Box<str>>,
}

impl Events {
    /// Takes an event in; the answer is the event that has to go for it, which may be this one.
    pub fn insert(
        &mut self,
        namespace: &Arc<str>,
        subject: &str,
        time_ms: i64,
        name: &str,
    ) -> Option<Box<str>> {
        self.remove(namespace, name);
        let kept = self
            .by_subject
            .entry((namespace.clone(), subject.into()))
            .or_default();
        kept.push((time_ms, name.into()));
        kept.sort_unstable();
        let evicted = (kept.len() > PER_SUBJECT).then(|| kept.remove(0).1);
        self.subject_of
            .insert((namespace.clone(), name.into()), subject.into());
        if let Some(evicted) = &evicted {
            self.subject_of.remove(&(namespace.clone(), evicted.clone()));
        }
        evicted
    }

    /// Names of the events that are kept of an object, the newest first.
    pub fn of(&self, namespace: &Arc<str>, subject: &str) -> impl Iterator<Item = &str> {
        self.by_subject
            .get(&(namespace.clone(), subject.into()))
            .into_iter()
            .flat_map(|kept| kept.iter().rev().map(|(_, name)| &**name))
    }

    /// The object that an event speaks of.
    pub fn subject(&self, namespace: &str, name: &str) -> Option<&str> {
        let place = (Arc::from(namespace), name.into());
        self.subject_of.get(&place).map(|subject| &**subject)
    }

    pub fn remove(&mut self, namespace: &str, name: &str) {
        let namespace: Arc<str> = namespace.into();
        let Some(subject) = self.subject_of.remove(&(namespace.clone(), name.into())) else {
            return;
        };
        let subject = (namespace, subject);
        if let Some(kept) = self.by_subject.get_mut(&subject) {
            kept.retain(|(_, other)| **other != *name);
            if kept.is_empty() {
                self.by_subject.remove(&subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_object_stay() {
        let (mut events, namespace) = (Events::default(), Arc::from("shop"));
        for time in 0..5 {
            assert_eq!(
                events.insert(&namespace, "Pod/a", time, &format!("e{time}")),
                None
            );
        }
        assert_eq!(events.insert(&namespace, "Pod/b", 0, "other"), None);
        assert_eq!(events.insert(&namespace, "Pod/a", 9, "e9").as_deref(), Some("e0"));
        assert_eq!(
            events.insert(&namespace, "Pod/a", 0, "late").as_deref(),
            Some("late")
        );
        assert_eq!(
            events.insert(&namespace, "Pod/a", 10, "e1"),
            None,
            "the same event, seen again"
        );
        assert_eq!(
            events.insert(&Arc::from("other"), "Pod/a", 0, "e1"),
            None,
            "another namespace"
        );
    }

    #[test]
    fn what_is_gone_makes_room_and_leaves_nothing_behind() {
        let (mut events, namespace) = (Events::default(), Arc::from("shop"));
        events.insert(&namespace, "Pod/a", 1, "e1");
        events.remove("shop", "e1");
        assert!(events.by_subject.is_empty() && events.subject_of.is_empty());
    }
}
