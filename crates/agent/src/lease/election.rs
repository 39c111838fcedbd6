//! The rules of the Lease, without a clock and without an API server.
//!
//! Times are durations since the start of this program (monotonic).

use std::time::Duration;

/// How long what lasts. `fence < duration`: the difference is the time in which nobody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// A Lease that was not renewed for so long may be taken.
    pub duration: Duration,
    /// After the beginning of the last renewal that succeeded the holder writes for so long.
    pub fence: Duration,
    pub renew: Duration,
    /// How often those who stand by look.
    pub look: Duration,
    /// After a failure.
    pub again: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(10),
            fence: Duration::from_secs(7),
            renew: Duration::from_secs(2),
            look: Duration::from_secs(1),
            again: Duration::from_millis(400),
        }
    }
}

/// The Lease as the API server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Empty when it was given back.
    pub holder: String,
    /// As its holder wrote it.
    pub duration: Duration,
    /// resourceVersion: a write names it, so that of two who take the Lease one fails.
    pub version: String,
    /// How often the holder has changed.
    pub transitions: i32,
}

/// What is to be written, over which version. `None` is a Lease that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub over: Option<String>,
    pub transitions: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Take it, or renew it.
    Write(Write),
    /// Somebody else has it.
    Stand,
}

/// One copy's part in the election.
#[derive(Debug, Clone)]
pub struct Election {
    me: String,
    terms: Terms,
    /// The version of somebody else's Lease, and when it was first seen.
    others: Option<(String, Duration)>,
    /// Ours, since the beginning of the last write that succeeded.
    held: Option<Held>,
}

#[derive(Debug, Clone)]
struct Held {
    since: Duration,
    version: String,
    transitions: i32,
}

impl Election {
    pub fn new(me: impl Into<String>, terms: Terms) -> Self {
        Self {
            me: me.into(),
            terms,
            others: None,
            held: None,
        }
    }

    /// What to do about the Lease as it was seen now.
    pub fn seen(&mut self, now: Duration, seen: Option<&Seen>) -> Decision {
        let Some(seen) = seen else {
            // Who holds it knows that nobody else took it; it was deleted by hand.
            self.others = None;
            return Decision::Write(Write {
                over: None,
                transitions: self.held.as_ref().map_or(0, |held| held.transitions),
            });
        };
        if seen.holder == self.me {
            self.others = None;
            return Decision::Write(Write {
                over: Some(seen.version.clone()),
                transitions: seen.transitions,
            });
        }
        self.held = None;
        let take = Decision::Write(Write {
            over: Some(seen.version.clone()),
            transitions: seen.transitions.saturating_add(1),
        });
        if seen.holder.is_empty() {
            return take;
        }
        match &self.others {
            // A holder with a longer duration than ours counts on it.
            Some((version, since)) if *version == seen.version => {
                if now.saturating_sub(*since) >= seen.duration.max(self.terms.duration) {
                    take
                } else {
                    Decision::Stand
                }
            }
            _ => {
                self.others = Some((seen.version.clone(), now));
                Decision::Stand
            }
        }
    }

    /// What the holder writes next, without looking first.
    pub fn renewal(&self) -> Option<Write> {
        self.held.as_ref().map(|held| Write {
            over: Some(held.version.clone()),
            transitions: held.transitions,
        })
    }

    /// The write that began at `began` succeeded.
    pub fn written(&mut self, began: Duration, version: impl Into<String>, transitions: i32) {
        self.others = None;
        self.held = Some(Held {
            since: began,
            version: version.into(),
            transitions,
        });
    }

    /// Until when this copy may write; `None` if it may not.
    pub fn fence(&self, now: Duration) -> Option<Duration> {
        let falls = self.held.as_ref()?.since + self.terms.fence;
        (now < falls).then_some(falls)
    }

    /// Whether this copy leads. One whose fence has fallen does not, even if nobody else has taken the Lease.
    pub fn leads(&mut self, now: Duration) -> bool {
        if self.fence(now).is_none() {
            self.held = None;
        }
        self.held.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn lease(holder: &str, version: &str) -> Seen {
        Seen {
            holder: holder.into(),
            duration: Terms::default().duration,
            version: version.into(),
            transitions: 3,
        }
    }

    fn take(over: Option<&str>, transitions: i32) -> Decision {
        Decision::Write(Write {
            over: over.map(str::to_owned),
            transitions,
        })
    }

    #[test]
    fn a_lease_that_nobody_has_is_taken_at_once() {
        let mut election = Election::new("a", Terms::default());
        assert_eq!(election.seen(ms(0), None), take(None, 0));
        assert_eq!(election.seen(ms(0), Some(&lease("", "7"))), take(Some("7"), 4));
    }

    #[test]
    fn a_lease_that_is_renewed_is_left_and_one_that_is_not_is_taken_after_its_duration() {
        let mut election = Election::new("a", Terms::default());
        for (at, version, expected) in [
            (0, "1", Decision::Stand),
            (9_000, "1", Decision::Stand),
            (9_500, "2", Decision::Stand),
            (19_400, "2", Decision::Stand),
            (19_500, "2", take(Some("2"), 4)),
        ] {
            assert_eq!(
                election.seen(ms(at), Some(&lease("b", version))),
                expected,
                "at {at}"
            );
        }
    }

    #[test]
    fn a_holder_with_longer_terms_is_waited_for() {
        let mut election = Election::new("a", Terms::default());
        let long = Seen {
            duration: ms(60_000),
            ..lease("b", "1")
        };
        election.seen(ms(0), Some(&long));
        assert_eq!(election.seen(ms(59_000), Some(&long)), Decision::Stand);
        assert_eq!(election.seen(ms(60_000), Some(&long)), take(Some("1"), 4));
    }

    #[test]
    fn the_fence_falls_before_anybody_else_may_take_the_lease() {
        let mut election = Election::new("a", Terms::default());
        election.seen(ms(0), None);
        election.written(ms(100), "1", 0);
        assert_eq!(election.fence(ms(200)), Some(ms(7_100)));
        assert!(election.leads(ms(7_099)));
        assert!(!election.leads(ms(7_100)));
        assert_eq!(election.renewal(), None, "it must look again first");
    }

    #[test]
    fn an_answer_that_was_lost_does_no_harm() {
        let mut election = Election::new("a", Terms::default());
        election.written(ms(0), "1", 0);
        // The renewal reached the API server, its answer did not; the next one conflicts, and one looks.
        assert_eq!(
            election.seen(ms(2_500), Some(&lease("a", "2"))),
            take(Some("2"), 3)
        );
        assert!(election.leads(ms(2_600)), "the first write still counts");
    }

    #[test]
    fn who_sees_another_holder_leads_no_longer() {
        let mut election = Election::new("a", Terms::default());
        election.written(ms(0), "1", 0);
        assert_eq!(election.seen(ms(100), Some(&lease("b", "2"))), Decision::Stand);
        assert!(!election.leads(ms(100)));
    }

    /// An API server that keeps one Lease and compares versions.
    #[derive(Default)]
    struct Server {
        version: u64,
        seen: Option<Seen>,
    }

    impl Server {
        fn write(&mut self, me: &str, write: &Write) -> Option<String> {
            let current = self.seen.as_ref().map(|seen| seen.version.clone());
            if current != write.over {
                return None;
            }
            self.version += 1;
            let version = self.version.to_string();
            self.seen = Some(Seen {
                holder: me.into(),
                duration: Terms::default().duration,
                version: version.clone(),
                transitions: write.transitions,
            });
            Some(version)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

        /// Whatever is delayed, lost or stopped: at no moment do two copies believe that they may write.
        #[test]
        fn never_two_may_write(steps in proptest::collection::vec((0usize..3, 50u64..4_000, any::<bool>(), 0u64..2_000), 1..200)) {
            let mut server = Server::default();
            let names = ["a", "b", "c"];
            let mut copies: Vec<Election> =
                names.iter().map(|name| Election::new(*name, Terms::default())).collect();
            let mut now = Duration::ZERO;
            for (who, pause, answered, slow) in steps {
                now += ms(pause);
                let began = now;
                let copy = &mut copies[who];
                copy.leads(now);
                let write = match copy.renewal() {
                    Some(write) => Some(write),
                    None => match copy.seen(now, server.seen.as_ref()) {
                        Decision::Write(write) => Some(write),
                        Decision::Stand => None,
                    },
                };
                if let Some(write) = write {
                    // The request takes its time, and its answer may be lost.
                    now += ms(slow);
                    match server.write(names[who], &write) {
                        Some(version) if answered => copies[who].written(began, version, write.transitions),
                        Some(_) => {}
                        None => {
                            let seen = server.seen.clone();
                            copies[who].seen(now, seen.as_ref());
                        }
                    }
                }
                let writing = copies.iter().filter(|copy| copy.fence(now).is_some()).count();
                prop_assert!(writing <= 1, "{writing} may write at {now:?}");
            }
        }
    }
}
