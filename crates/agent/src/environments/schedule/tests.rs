//! What the schedule promises, played with a clock of its own.

use super::*;

const RESYNC: Duration = Duration::from_secs(60);

fn commit(n: u8) -> CommitId {
    CommitId::from_bytes([n; 20])
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A schedule with its clock; jitter is at its most.
struct Play {
    schedule: Schedule,
    now: Duration,
}

impl Play {
    fn new() -> Self {
        Self {
            schedule: Schedule::new(RESYNC),
            now: Duration::ZERO,
        }
    }

    fn step(&mut self, input: Input) -> Vec<Action> {
        self.schedule.step(self.now, 1.0, input)
    }

    /// Lets time pass to the next tick; tells how long that was and what began.
    fn wait(&mut self) -> (Duration, Vec<Action>) {
        let next = self.schedule.next_tick().expect("something is due");
        let waited = next.saturating_sub(self.now);
        self.now = self.now.max(next);
        (waited, self.step(Input::Tick))
    }

    fn wants(&mut self, generation: u64, n: u8) -> Vec<Action> {
        self.step(Input::Wanted(Wanted {
            generation,
            commit: Some(commit(n)),
        }))
    }

    fn fetched(&mut self, n: u8) -> Vec<Action> {
        self.step(Input::Fetched {
            parsed: Some(commit(n)),
            applied: self.schedule.tagged(),
        })
    }

    fn ends(&mut self, n: u8, end: PassEnd) -> Vec<Action> {
        self.step(Input::Converged {
            commit: commit(n),
            end,
        })
    }

    /// An environment that has delivered commit 1 and tagged it.
    fn settled() -> Self {
        let mut play = Self::new();
        assert_eq!(play.step(Input::Started), [Action::Prepare]);
        play.wants(1, 1);
        assert_eq!(
            play.step(Input::Prepared {
                local: None,
                tags: TagRights::Unchecked
            }),
            [Action::Fetch]
        );
        assert_eq!(
            play.fetched(1),
            [Action::Converge { commit: commit(1) }, Action::CheckTags]
        );
        assert_eq!(play.ends(1, PassEnd::Complete), []);
        assert_eq!(
            play.step(Input::TagsChecked),
            [Action::MoveTag { commit: commit(1) }]
        );
        assert_eq!(play.step(Input::TagMoved { commit: commit(1) }), []);
        play
    }
}

#[test]
fn a_new_commit_is_fetched_delivered_and_tagged() {
    let mut play = Play::settled();
    assert_eq!(play.wants(2, 2), [Action::Fetch]);
    assert_eq!(play.fetched(2), [Action::Converge { commit: commit(2) }]);
    assert_eq!(
        play.ends(2, PassEnd::Complete),
        [Action::MoveTag { commit: commit(2) }]
    );
}

#[test]
fn a_key_that_is_not_registered_yet_is_tried_again_within_moments_and_then_more_slowly() {
    let mut play = Play::new();
    play.step(Input::Started);
    play.step(Input::Prepared {
        local: None,
        tags: TagRights::Unchecked,
    });

    let mut waits = Vec::new();
    for _ in 0..10 {
        play.step(Input::FetchNotYet);
        waits.push(play.wait().0);
    }

    assert_eq!(waits[..3], [ms(50), ms(100), ms(200)]);
    assert_eq!(waits[9], ms(10_000));
}

#[test]
fn what_failed_is_retried_with_growing_pauses_and_the_tag_stays() {
    let mut play = Play::settled();
    play.wants(2, 2);
    play.fetched(2);

    let mut waits = Vec::new();
    for _ in 0..8 {
        assert_eq!(play.ends(2, PassEnd::Failed), []);
        let (waited, began) = play.wait();
        if began == [Action::Fetch] {
            assert_eq!(play.fetched(2), [Action::Converge { commit: commit(2) }]);
            continue;
        }
        waits.push(waited);
        assert_eq!(began, [Action::Converge { commit: commit(2) }]);
    }

    assert_eq!(
        waits[..5],
        [ms(1_000), ms(2_000), ms(4_000), ms(8_000), ms(16_000)]
    );
}

#[test]
fn a_newer_commit_cuts_the_wait_short_but_never_a_running_pass() {
    let mut play = Play::settled();
    play.wants(2, 2);
    play.fetched(2);

    // given a pass that runs, a newer commit is fetched beside it and follows at once
    assert_eq!(play.wants(3, 3), [Action::Fetch]);
    assert_eq!(play.fetched(3), []);
    assert_eq!(
        play.ends(2, PassEnd::Failed),
        [Action::Converge { commit: commit(3) }]
    );

    // given a wait for a retry, a newer commit ends it
    play.ends(3, PassEnd::Failed);
    assert_eq!(play.wants(4, 4), [Action::Fetch]);
    assert_eq!(play.fetched(4), [Action::Converge { commit: commit(4) }]);
}

#[test]
fn an_older_generation_is_ignored_and_a_repeated_one_costs_nothing() {
    let mut play = Play::settled();
    assert_eq!(play.wants(5, 2), [Action::Fetch]);
    play.fetched(2);
    play.ends(2, PassEnd::Complete);

    assert_eq!(play.wants(4, 1), []);
    assert_eq!(play.wants(5, 2), []);
}

#[test]
fn the_same_commit_under_another_rule_needs_no_fetch() {
    let mut play = Play::settled();
    assert_eq!(play.wants(2, 1), [Action::Converge { commit: commit(1) }]);
}

#[test]
fn a_host_that_lags_behind_is_asked_again_soon() {
    let mut play = Play::settled();
    play.wants(2, 2);
    play.fetched(1);
    play.ends(1, PassEnd::Complete);
    let (waited, began) = play.wait();
    assert_eq!((waited, began), (ms(50), vec![Action::Fetch]));
    assert_eq!(play.fetched(2), [Action::Converge { commit: commit(2) }]);
}

#[test]
fn news_during_a_fetch_leads_to_another_fetch() {
    let mut play = Play::settled();
    assert_eq!(play.wants(2, 2), [Action::Fetch]);
    assert_eq!(play.wants(3, 3), []);
    assert!(play.fetched(2).contains(&Action::Fetch));
}

#[test]
fn after_a_restart_the_mirror_is_delivered_while_the_platform_is_away() {
    let mut play = Play::new();
    play.wants(7, 1);
    play.step(Input::Started);
    let began = play.step(Input::Prepared {
        local: Some(commit(1)),
        tags: TagRights::Checked,
    });
    assert_eq!(
        began,
        [Action::Converge { commit: commit(1) }],
        "what the mirror has needs no network"
    );

    play.ends(1, PassEnd::Complete);
    loop {
        let (_, began) = play.wait();
        if began.contains(&Action::Fetch) {
            play.step(Input::FetchFailed);
        }
        if began.contains(&Action::Converge { commit: commit(1) }) {
            break;
        }
        assert!(play.now < RESYNC * 4, "healing goes on on the agent's own clock");
    }
}

#[test]
fn a_quiet_environment_is_looked_at_on_the_clock() {
    let mut play = Play::settled();
    let (waited, began) = play.wait();
    assert!(
        waited >= RESYNC.mul_f64(0.9) && waited <= RESYNC.mul_f64(1.1),
        "{waited:?}"
    );
    assert_eq!(began, [Action::Fetch]);
    assert_eq!(play.fetched(1), [Action::Converge { commit: commit(1) }]);
}

#[test]
fn drift_is_repaired_at_once_and_a_quarrel_is_slowed_down() {
    let mut play = Play::settled();
    assert_eq!(
        play.step(Input::Drifted),
        [Action::Converge { commit: commit(1) }]
    );
    play.ends(1, PassEnd::Complete);

    let mut repairs = 1;
    while play.now < Duration::from_secs(30) {
        if play.step(Input::Drifted).is_empty() {
            play.wait();
        }
        play.ends(1, PassEnd::Complete);
        repairs += 1;
        assert!(repairs < 20, "an apply war");
    }
}

#[test]
fn deletions_that_wait_for_a_person_are_not_retried_and_not_tagged() {
    let mut play = Play::settled();
    play.wants(2, 2);
    play.fetched(2);
    assert_eq!(play.ends(2, PassEnd::Waits), []);
    let (waited, began) = play.wait();
    assert!(waited > Duration::from_secs(50));
    assert_eq!(began, [Action::Fetch]);
}

#[test]
fn a_kind_that_appears_ends_the_wait_of_what_needs_it() {
    let mut play = Play::settled();
    assert_eq!(
        play.step(Input::KindsChanged),
        [],
        "nothing failed, nothing to do"
    );
    play.wants(2, 2);
    play.fetched(2);
    play.ends(2, PassEnd::Failed);
    assert_eq!(
        play.step(Input::KindsChanged),
        [Action::Converge { commit: commit(2) }]
    );
}

#[test]
fn a_tag_that_somebody_moved_is_put_right_with_the_next_fetch() {
    let mut play = Play::settled();
    play.wait();
    let began = play.step(Input::Fetched {
        parsed: Some(commit(1)),
        applied: Some(commit(9)),
    });
    assert!(
        began.contains(&Action::MoveTag { commit: commit(1) }),
        "{began:?}"
    );
}

#[test]
fn a_tag_that_cannot_be_moved_is_retried_and_holds_up_nothing() {
    let mut play = Play::settled();
    play.wants(2, 2);
    play.fetched(2);
    assert_eq!(
        play.ends(2, PassEnd::Complete),
        [Action::MoveTag { commit: commit(2) }]
    );
    assert_eq!(play.step(Input::TagsFailed), []);
    assert_eq!(play.wants(3, 3), [Action::Fetch]);
    assert_eq!(play.fetched(3), [Action::Converge { commit: commit(3) }]);
    play.ends(3, PassEnd::Complete);
    assert_eq!(
        play.wait(),
        (ms(1_000), vec![Action::MoveTag { commit: commit(3) }])
    );
}

#[test]
fn a_sync_is_answered_after_a_fetch_and_a_pass_that_began_after_it() {
    let mut play = Play::settled();
    play.step(Input::Drifted);
    assert_eq!(play.step(Input::SyncAsked), [Action::Fetch]);
    assert_eq!(play.fetched(1), []);
    assert_eq!(
        play.ends(1, PassEnd::Complete),
        [Action::Converge { commit: commit(1) }]
    );
    let answer = Action::Synced(SyncEnd::Passed {
        commit: commit(1),
        end: PassEnd::Complete,
    });
    assert_eq!(play.ends(1, PassEnd::Complete), [answer]);
}

#[test]
fn a_sync_whose_fetch_fails_says_so() {
    let mut play = Play::settled();
    play.step(Input::SyncAsked);
    assert_eq!(
        play.step(Input::FetchFailed),
        [Action::Synced(SyncEnd::FetchFailed)]
    );
}

#[test]
fn preparation_is_tried_again_until_it_goes_well() {
    let mut play = Play::new();
    play.step(Input::Started);
    play.step(Input::PrepareFailed);
    assert_eq!(play.wait(), (ms(500), vec![Action::Prepare]));
    play.step(Input::PrepareFailed);
    assert_eq!(play.wait(), (ms(1_000), vec![Action::Prepare]));
}
