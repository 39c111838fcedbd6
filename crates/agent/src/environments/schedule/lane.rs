//! One thing at a time, and when to try it again.

use std::time::Duration;

/// How long to wait after the n-th failure in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) cap: Duration,
}

impl Backoff {
    /// Between half and all of the exponential delay: the spread is taken after the cap.
    pub(super) fn after(self, failures: u32, random: f64) -> Duration {
        let grown = self
            .first
            .saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        grown.min(self.cap).mul_f64(0.5 + random / 2.0)
    }
}

/// One thing at a time, at its time.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) running: bool,
    pub(super) due: Option<Duration>,
    pub(super) failures: u32,
}

impl Lane {
    pub(super) fn no_later_than(&mut self, time: Duration) {
        self.due = Some(self.due.map_or(time, |due| due.min(time)));
    }

    /// Begins if it is time and nothing runs.
    pub(super) fn begin(&mut self, now: Duration) -> bool {
        let begins = !self.running && self.due.is_some_and(|due| due <= now);
        if begins {
            self.running = true;
            self.due = None;
        }
        begins
    }

    pub(super) fn succeeded(&mut self) {
        self.running = false;
        self.failures = 0;
    }

    pub(super) fn failed(&mut self, now: Duration, backoff: Backoff, random: f64) {
        self.running = false;
        self.failures = self.failures.saturating_add(1);
        self.no_later_than(now + backoff.after(self.failures, random));
    }

    pub(super) fn waiting(&self) -> Option<Duration> {
        if self.running { None } else { self.due }
    }
}
