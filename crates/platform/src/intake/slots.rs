//! Who works at which repository, and what is kept of each between two passes. Bounded by the weight of what is kept.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::pass::Worker;

/// Bytes of files whose parsed objects are kept in memory, over all repositories. What was not used for longest is given up and
/// read again when it is next pushed to.
const KEPT_BYTES: usize = 16 << 20;

#[derive(Default)]
pub struct Slots {
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    slots: HashMap<String, Slot>,
    kept_bytes: usize,
    uses: u64,
}

/// One per repository. The worker is here while nobody works with it.
#[derive(Default)]
struct Slot {
    worker: Option<Worker>,
    used: u64,
    busy: Busy,
}

#[derive(Default, PartialEq)]
enum Busy {
    #[default]
    No,
    Yes,
    /// Something came in meanwhile: one more pass sees all of it.
    OnceMore,
}

/// The right to work at one repository, and what was kept of it. Dropped without [`Claim::release`] (the work broke off) it is
/// given back, and what was kept is lost.
pub struct Claim {
    slots: Arc<Slots>,
    environment: String,
    worker: Option<Worker>,
}

impl Slots {
    /// `None` when somebody is at it already, who then takes one more look.
    pub fn claim(self: &Arc<Self>, environment: &str) -> Option<Claim> {
        let worker = self.with(|content| {
            let slot = content.slots.entry(environment.to_owned()).or_default();
            if slot.busy != Busy::No {
                slot.busy = Busy::OnceMore;
                return None;
            }
            slot.busy = Busy::Yes;
            let worker = slot.worker.take().unwrap_or_default();
            content.kept_bytes -= worker.weight();
            Some(worker)
        })?;
        Some(Claim {
            slots: Arc::clone(self),
            environment: environment.to_owned(),
            worker: Some(worker),
        })
    }

    /// Forgets all others, except where somebody works.
    pub fn keep(&self, environments: &[String]) {
        let there: HashSet<&str> = environments.iter().map(String::as_str).collect();
        self.with(|content| {
            let kept_bytes = &mut content.kept_bytes;
            content.slots.retain(|environment, slot| {
                let keep = slot.busy != Busy::No || there.contains(environment.as_str());
                if !keep {
                    *kept_bytes -= slot.worker.as_ref().map_or(0, Worker::weight);
                }
                keep
            });
        });
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Content) -> T) -> T {
        use_it(&mut self.content.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Content {
    fn put_back(&mut self, environment: &str, worker: Worker) {
        self.uses += 1;
        self.kept_bytes += worker.weight();
        let slot = self.slots.entry(environment.to_owned()).or_default();
        slot.used = self.uses;
        slot.worker = Some(worker);
        while self.kept_bytes > KEPT_BYTES {
            let oldest = self
                .slots
                .values_mut()
                .filter(|slot| slot.worker.as_ref().is_some_and(|worker| worker.weight() > 0))
                .min_by_key(|slot| slot.used);
            let Some(worker) = oldest.and_then(|slot| slot.worker.take()) else {
                return;
            };
            self.kept_bytes -= worker.weight();
        }
    }
}

impl Claim {
    pub fn environment(&self) -> &str {
        &self.environment
    }

    pub fn worker(&mut self) -> &mut Worker {
        self.worker.get_or_insert_default()
    }

    /// Gives it back, unless something came in meanwhile: then the work goes on.
    pub fn release(mut self) -> Option<Self> {
        let mut worker = self.worker.take();
        let again = self.slots.with(|content| {
            let slot = content.slots.entry(self.environment.clone()).or_default();
            if slot.busy == Busy::OnceMore {
                slot.busy = Busy::Yes;
                return true;
            }
            slot.busy = Busy::No;
            if let Some(worker) = worker.take() {
                content.put_back(&self.environment, worker);
            }
            false
        });
        self.worker = worker;
        if again { Some(self) } else { None }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.worker.take().is_some() {
            self.slots.with(|content| {
                if let Some(slot) = content.slots.get_mut(&self.environment) {
                    slot.busy = Busy::No;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> Arc<Slots> {
        Arc::default()
    }

    #[test]
    fn words_that_come_during_the_work_lead_to_one_more_pass() {
        let slots = slots();
        let claim = slots.claim("a").unwrap();
        for _ in 0..5 {
            assert!(slots.claim("a").is_none(), "one at a time");
        }
        assert!(slots.claim("b").is_some(), "of each repository");

        let again = claim.release().expect("one more");
        assert!(again.release().is_none(), "and no second one");
        assert!(slots.claim("a").is_some());
    }

    #[test]
    fn work_that_breaks_off_does_not_block_its_repository_for_ever() {
        let slots = slots();
        drop(slots.claim("a").unwrap());
        assert!(slots.claim("a").is_some());
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_least_used_goes_first() {
        let slots = slots();
        for environment in ["a", "b", "c"] {
            let mut claim = slots.claim(environment).unwrap();
            *claim.worker() = Worker::of_weight(KEPT_BYTES / 2);
            claim.release();
        }
        let kept = |environment: &str| {
            slots.with(|content| content.slots[environment].worker.as_ref().map(Worker::weight))
        };
        assert_eq!(kept("a"), None);
        assert_eq!(kept("c"), Some(KEPT_BYTES / 2));
        assert_eq!(slots.with(|content| content.kept_bytes), KEPT_BYTES);

        slots.keep(&["b".to_owned()]);
        assert_eq!(slots.with(|content| content.kept_bytes), KEPT_BYTES / 2);
    }
}
