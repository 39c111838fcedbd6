//! When a break is worth a word, when to dial again, and what is said in the end.

use std::time::Duration;

use anyhow::anyhow;
use tokio::time::{Instant, sleep_until};

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

/// What the work gives, unless the person must be told something first.
pub async fn unless_due<T>(due: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    let due = async {
        match due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = due => None,
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

/// The last attempt failed like this. What to do next is said once: a cause that knows better says it itself.
pub fn given_up(what: &str, cause: &anyhow::Error, next: &str) -> anyhow::Error {
    let cause = format!("{cause:#}");
    match cause.contains("\n  next: ") {
        true => anyhow!("{what}: {cause}"),
        false => anyhow!("{what}: {cause}\n  next: {next}"),
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
    fn what_to_do_next_is_said_once() {
        let told = |cause: &'static str| {
            let cause = anyhow!(cause).context("dialling");
            given_up("it is over", &cause, "run it again").to_string()
        };
        assert_eq!(
            told("no way"),
            "it is over: dialling: no way\n  next: run it again"
        );
        assert_eq!(
            told("no way\n  next: find one"),
            "it is over: dialling: no way\n  next: find one"
        );
    }

    #[test]
    fn the_first_attempt_is_at_once_and_none_waits_long() {
        let pauses: Vec<u128> = (0..9).map(|attempt| pause(attempt).as_millis()).collect();
        assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
