//! What one side has to say: per topic the newest item, until it is acknowledged.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use prost::Message;

use crate::messages::{Item, Say, Topic};

/// Bounded by the number of live topics. An item that is posted again goes to the back of the queue, behind everything that
/// was posted before, so that the order in which the peer sees topics never contradicts the order in which they changed.
#[derive(Debug, Default)]
pub struct Outbox {
    entries: HashMap<Topic, Entry>,
    /// Position to topic, for what is not under way.
    queue: BTreeMap<u64, Topic>,
    posted: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    item: Arc<Item>,
    size: usize,
    /// Position of the newest post; tells whether an acknowledgement is for this or for what stood here before.
    version: u64,
    queued: bool,
}

/// An item that was taken to be sent.
#[derive(Debug, Clone)]
pub struct Taken {
    pub topic: Topic,
    pub version: u64,
    pub item: Arc<Item>,
}

impl Outbox {
    pub fn post(&mut self, say: Say) {
        let topic = say.topic();
        let item = Item::from(say);
        let size = item.encoded_len();
        self.posted += 1;
        let entry = Entry {
            item: Arc::new(item),
            size,
            version: self.posted,
            queued: true,
        };
        self.bytes += size;
        if let Some(before) = self.entries.insert(topic.clone(), entry) {
            self.bytes -= before.size;
            if before.queued {
                self.queue.remove(&before.version);
            }
        }
        self.queue.insert(self.posted, topic);
    }

    /// Nobody needs this any more.
    pub fn withdraw(&mut self, topic: &Topic) {
        if let Some(entry) = self.entries.remove(topic) {
            self.bytes -= entry.size;
            if entry.queued {
                self.queue.remove(&entry.version);
            }
        }
    }

    /// The oldest items up to `max_bytes`, and one at least if there is any.
    pub fn take(&mut self, max_bytes: usize) -> Vec<Taken> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.queue.first_entry() {
            let Some(entry) = self.entries.get_mut(next.get()) else {
                next.remove();
                continue;
            };
            if !taken.is_empty() && bytes + entry.size > max_bytes {
                break;
            }
            bytes += entry.size;
            entry.queued = false;
            let topic = next.remove();
            taken.push(Taken {
                topic,
                version: entry.version,
                item: Arc::clone(&entry.item),
            });
        }
        taken
    }

    /// The peer has stored it. A newer item of the topic stays.
    pub fn acknowledged(&mut self, topic: &Topic, version: u64) {
        if self
            .entries
            .get(topic)
            .is_some_and(|entry| entry.version == version)
        {
            self.withdraw(topic);
        }
    }

    /// The session broke: whatever was under way is to be said again, in the old order.
    pub fn requeue(&mut self) {
        for (topic, entry) in &mut self.entries {
            if !entry.queued {
                entry.queued = true;
                self.queue.insert(entry.version, topic.clone());
            }
        }
    }

    /// Items that are not acknowledged.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True until the newest item of the topic is acknowledged.
    pub fn contains(&self, topic: &Topic) -> bool {
        self.entries.contains_key(topic)
    }

    /// True while something waits to be taken.
    pub fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Encoded size of everything that is not acknowledged.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::EnvironmentSpec;

    fn wanted(environment: &str, generation: u64) -> Say {
        Say::Environment(EnvironmentSpec {
            environment_id: environment.into(),
            generation,
            ..EnvironmentSpec::default()
        })
    }

    fn generations(taken: &[Taken]) -> Vec<u64> {
        taken
            .iter()
            .filter_map(|taken| match taken.item.say.as_ref()? {
                Say::Environment(spec) => Some(spec.generation),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn the_newest_of_a_topic_wins_and_goes_to_the_back() {
        let mut outbox = Outbox::default();
        outbox.post(wanted("a", 1));
        outbox.post(wanted("b", 2));
        outbox.post(wanted("a", 3));
        assert_eq!(outbox.len(), 2);
        assert_eq!(generations(&outbox.take(usize::MAX)), [2, 3]);
    }

    #[test]
    fn an_acknowledgement_of_an_older_item_keeps_the_newer() {
        let mut outbox = Outbox::default();
        outbox.post(wanted("a", 1));
        let first = outbox.take(usize::MAX);
        outbox.post(wanted("a", 2));
        outbox.acknowledged(&first[0].topic, first[0].version);
        let second = outbox.take(usize::MAX);
        assert_eq!(generations(&second), [2]);
        outbox.acknowledged(&second[0].topic, second[0].version);
        assert!(outbox.is_empty() && outbox.bytes() == 0);
    }

    #[test]
    fn what_was_under_way_at_a_break_is_said_again_in_order() {
        let mut outbox = Outbox::default();
        for generation in 1..=5 {
            outbox.post(wanted(&generation.to_string(), generation));
        }
        let taken = outbox.take(1);
        assert_eq!(generations(&taken), [1], "one item at least, however big");
        outbox.take(usize::MAX);
        outbox.requeue();
        assert_eq!(generations(&outbox.take(usize::MAX)), [1, 2, 3, 4, 5]);
    }
}
