//! When a break is worth a word, and when to dial again. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// A break that is over sooner is not told.
const UNTOLD: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Whether the way is broken, and whether the person knows.
#[derive(Debug, Default)]
pub struct Breaks {
    since: Option<Instant>,
    told: bool,
}

impl Breaks {
    /// True when the person was told of a break that is over now.
    pub fn set(&mut self, broken: bool, now: Instant) -> bool {
        if broken {
            self.since.get_or_insert(now);
            return false;
        }
        self.since = None;
        std::mem::take(&mut self.told)
    }

    /// When the person must be told.
    pub fn due(&self) -> Option<Instant> {
        self.since.filter(|_| !self.told).map(|since| since + UNTOLD)
    }

    pub fn was_told(&mut self) {
        self.told = true;
    }

    pub fn is_told(&self) -> bool {
        self.told
    }
}

/// How long to wait before the attempt with this number, from 0.
pub fn pause(attempt: u32) -> Duration {
    match attempt {
        0 => Duration::ZERO,
        _ => FIRST_PAUSE
            .saturating_mul(1 << (attempt - 1).min(10))
            .min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_break_is_told_and_then_its_end_too() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut breaks = Breaks::default();
        assert_eq!(breaks.due(), None);
        assert!(!breaks.set(true, at(0)));
        assert!(!breaks.set(true, at(500)));
        assert_eq!(breaks.due(), Some(at(1000)));
        assert!(!breaks.set(false, at(900)), "nobody was told");
        assert_eq!(breaks.due(), None);

        breaks.set(true, at(2000));
        assert_eq!(breaks.due(), Some(at(3000)));
        breaks.was_told();
        assert_eq!(breaks.due(), None, "once is enough");
        assert!(breaks.set(false, at(9000)));
        assert!(!breaks.set(false, at(9001)));
    }

    #[test]
    fn the_first_attempt_is_at_once_and_none_waits_long() {
        let pauses: Vec<u128> = (0..9).map(|attempt| pause(attempt).as_millis()).collect();
        assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
