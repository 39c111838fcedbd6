//! What the controller remembers of a release besides what is in the cluster: failures, orders, suspicions. Pure.
//!
//! Losing it with the process costs one attempt more, never correctness.

use std::time::Duration;

use c7n_helm::SpecDigest;

/// First wait after something that may pass by itself, and the longest.
const PASSING: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
/// The same for what hardly passes without a change: each attempt is a revision in Helm's short history.
const LASTING: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(1800));

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prospect {
    /// The cluster or a repository was away.
    Passing,
    /// The chart, its values or its hooks are wrong.
    Lasting,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Failed {
    digest: SpecDigest,
    attempts: u32,
    until: Duration,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    failed: Option<Failed>,
    uninstall: Option<(u32, Duration)>,
    retry: bool,
    drift: bool,
}

impl Memory {
    /// Until when this is not to be tried again, if it has just failed.
    pub fn waits(&self, digest: &SpecDigest, now: Duration) -> Option<Duration> {
        let failed = self.failed.as_ref().filter(|failed| failed.digest == *digest)?;
        (now < failed.until).then_some(failed.until)
    }

    pub fn uninstall_waits(&self, now: Duration) -> Option<Duration> {
        self.uninstall
            .map(|(_, until)| until)
            .filter(|until| !self.retry && now < *until)
    }

    /// `random` is any random number.
    pub fn failed(&mut self, digest: &SpecDigest, now: Duration, prospect: Prospect, random: u64) {
        let before = self.failed.take().filter(|failed| failed.digest == *digest);
        let attempts = before.map_or(0, |failed| failed.attempts);
        self.retry = false;
        self.failed = Some(Failed {
            digest: digest.clone(),
            attempts: attempts.saturating_add(1),
            until: now + wait(prospect, attempts, random),
        });
    }

    pub fn uninstall_failed(&mut self, now: Duration, random: u64) {
        let attempts = self.uninstall.map_or(0, |(attempts, _)| attempts);
        self.retry = false;
        self.uninstall = Some((
            attempts.saturating_add(1),
            now + wait(Prospect::Passing, attempts, random),
        ));
    }

    pub fn succeeded(&mut self) {
        *self = Self {
            drift: self.drift,
            ..Self::default()
        };
    }

    /// A person says: now.
    pub fn order_retry(&mut self) {
        self.retry = true;
    }

    /// There was nothing to try.
    pub fn retry_spent(&mut self) {
        self.retry = false;
    }

    pub fn is_retry_ordered(&self) -> bool {
        self.retry
    }

    /// An object of the release was seen to change.
    pub fn suspect_drift(&mut self) {
        self.drift = true;
    }

    pub fn drift_checked(&mut self) {
        self.drift = false;
    }

    pub fn is_drift_suspected(&self) -> bool {
        self.drift
    }
}

/// Grows exponentially; half of it is jitter, so that a hundred releases of one broken chart do not come in step, and
/// none at once.
fn wait(prospect: Prospect, attempts: u32, random: u64) -> Duration {
    let (base, cap) = match prospect {
        Prospect::Passing => PASSING,
        Prospect::Lasting => LASTING,
    };
    let factor = 1_u32.checked_shl(attempts).unwrap_or(u32::MAX);
    let ceiling = base.saturating_mul(factor).min(cap);
    ceiling / 2 + (ceiling / 2).mul_f64(random as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn waits_grow_to_their_cap_and_a_changed_spec_does_not_wait() {
        let (one, other) = (SpecDigest::of("1"), SpecDigest::of("2"));
        let mut memory = Memory::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            memory.failed(&one, NOW, Prospect::Passing, u64::MAX);
            waits.push(memory.waits(&one, NOW).unwrap() - NOW);
        }
        assert_eq!(waits[..3], [2, 4, 8].map(Duration::from_secs));
        assert_eq!(*waits.last().unwrap(), PASSING.1);
        assert_eq!(memory.waits(&other, NOW), None);
        assert_eq!(memory.waits(&one, NOW + PASSING.1), None, "it ends");

        memory.failed(&other, NOW, Prospect::Passing, u64::MAX);
        assert_eq!(
            memory.waits(&other, NOW).unwrap() - NOW,
            PASSING.0,
            "counted anew"
        );
    }

    #[test]
    fn no_wait_is_nothing() {
        for prospect in [Prospect::Passing, Prospect::Lasting] {
            assert!(wait(prospect, 0, 0) >= Duration::from_secs(1));
            assert!(wait(prospect, 99, u64::MAX) <= LASTING.1);
        }
    }

    #[test]
    fn an_order_counts_for_one_attempt() {
        let digest = SpecDigest::of("1");
        let mut memory = Memory::default();
        memory.order_retry();
        assert!(memory.is_retry_ordered());
        memory.failed(&digest, NOW, Prospect::Lasting, 0);
        assert!(!memory.is_retry_ordered());
        memory.succeeded();
        assert_eq!(memory, Memory::default());
    }
}
