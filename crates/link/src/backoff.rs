//! When to dial again.

use std::time::Duration;

/// Nobody is kept away for longer by a `retry_after`, which may be a slip of the peer's.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// Exponential back-off with full jitter. The jitter is applied after the cap: otherwise ten thousand agents that have all
/// reached the cap would knock in step.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    attempt: u32,
}

impl Backoff {
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            attempt: 0,
        }
    }

    /// How long to wait now; `random` is any random number, `retry_after` what the peer asked for.
    pub fn next(&mut self, random: u64, retry_after: Option<Duration>) -> Duration {
        let ceiling = self
            .base
            .saturating_mul(1_u32.checked_shl(self.attempt).unwrap_or(u32::MAX))
            .min(self.cap);
        self.attempt = self.attempt.saturating_add(1);
        let jitter = |span: Duration| span.mul_f64(random as f64 / u64::MAX as f64);
        match retry_after {
            // Nobody comes earlier than asked, and not all at once.
            Some(asked) => {
                let asked = asked.min(LONGEST_ASKED);
                asked + jitter(ceiling.max(asked / 2))
            }
            None => jitter(ceiling),
        }
    }

    /// The session was good.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(10);

    #[test]
    fn waits_grow_to_the_cap_and_never_beyond() {
        let mut backoff = Backoff::new(BASE, CAP);
        let waits: Vec<Duration> = (0..200).map(|_| backoff.next(u64::MAX, None)).collect();
        assert_eq!(waits[0], BASE);
        assert_eq!(waits[1], BASE * 2);
        assert!(waits.iter().all(|wait| *wait <= CAP) && waits[199] == CAP);
        backoff.reset();
        assert_eq!(backoff.next(u64::MAX, None), BASE);
    }

    #[test]
    fn jitter_reaches_down_to_nothing_even_at_the_cap() {
        let mut backoff = Backoff::new(BASE, CAP);
        for _ in 0..50 {
            backoff.next(0, None);
        }
        assert_eq!(backoff.next(0, None), Duration::ZERO);
        let half = backoff.next(u64::MAX / 2, None);
        assert!(half > CAP.mul_f64(0.49) && half < CAP.mul_f64(0.51));
    }

    #[test]
    fn what_the_peer_asked_for_is_the_least() {
        let mut backoff = Backoff::new(BASE, CAP);
        let asked = Duration::from_secs(30);
        assert_eq!(backoff.next(0, Some(asked)), asked);
        assert!(backoff.next(u64::MAX, Some(asked)) >= asked);
        let for_ever = backoff.next(u64::MAX, Some(Duration::MAX));
        assert!(for_ever >= LONGEST_ASKED && for_ever <= LONGEST_ASKED * 2);
    }
}
