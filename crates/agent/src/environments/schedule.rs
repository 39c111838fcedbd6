//! When an environment does what: a state machine without clock, network or chance of its own.
//!
//! In: what happened ([`Input`]), the time since the start and a random number. Out: what to begin now ([`Action`]) and
//! when to ask again ([`Schedule::next_tick`]). Three lanes run beside each other, each with at most one thing at a
//! time: fetch, pass (one convergence on one commit) and tags. The newest generation wins; waiting for a retry is cut
//! short by news, a pass that runs never is.

use std::time::Duration;

use c7n_git::CommitId;

/// How long to wait after the n-th failure in a row.
#[derive(Debug, Clone, Copy)]
struct Backoff {
    first: Duration,
    cap: Duration,
}

/// The platform registers a new key within milliseconds of hearing of it; until then the host refuses it.
const NOT_YET: Backoff = Backoff {
    first: Duration::from_millis(50),
    cap: Duration::from_secs(10),
};
const PREPARE: Backoff = Backoff {
    first: Duration::from_millis(500),
    cap: Duration::from_secs(30),
};
const FETCH: Backoff = Backoff {
    first: Duration::from_secs(1),
    cap: Duration::from_secs(60),
};
const PASS: Backoff = Backoff {
    first: Duration::from_secs(1),
    cap: Duration::from_secs(60),
};
const TAGS: Backoff = Backoff {
    first: Duration::from_secs(1),
    cap: Duration::from_secs(60),
};
/// Two managers that undo each other's work must not do it as fast as the machine can.
const DRIFT: Backoff = Backoff {
    first: Duration::from_millis(200),
    cap: Duration::from_secs(30),
};
/// An environment that was quiet for so long has no such quarrel.
const DRIFT_CALM: Duration = Duration::from_secs(60);

impl Backoff {
    /// Between half and all of the exponential delay: the spread is taken after the cap.
    fn after(self, failures: u32, random: f64) -> Duration {
        let grown = self
            .first
            .saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        grown.min(self.cap).mul_f64(0.5 + random / 2.0)
    }
}

/// What the platform wants of an environment; the highest generation counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub generation: u64,
    pub commit: Option<CommitId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    Started,
    Prepared {
        /// Where `devops-sync` stands in the mirror that an earlier run left.
        local: Option<CommitId>,
        tags: TagRights,
    },
    PrepareFailed,
    Wanted(Wanted),
    /// A fetch ended; the two tags as the remote has them.
    Fetched {
        parsed: Option<CommitId>,
        applied: Option<CommitId>,
    },
    /// The host does not know the key, or not this repository: the platform may not be done yet.
    FetchNotYet,
    FetchFailed,
    Converged {
        commit: CommitId,
        end: PassEnd,
    },
    TagsChecked,
    TagMoved {
        commit: CommitId,
    },
    /// The tag was moved by somebody else; it stands here.
    TagElsewhere {
        found: Option<CommitId>,
    },
    TagsFailed,
    /// A managed object is not what it was made.
    Drifted,
    /// The cluster knows other kinds than before.
    KindsChanged,
    /// A person wants a fetch and a pass now.
    SyncAsked,
    Tick,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagRights {
    Checked,
    Unchecked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassEnd {
    /// Everything of the commit is applied: the tag may move.
    Complete,
    /// Something waits for a person or for another commit; trying again changes nothing.
    Waits,
    /// Something failed that may go well later.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Prepare,
    Fetch,
    Converge {
        commit: CommitId,
    },
    CheckTags,
    MoveTag {
        commit: CommitId,
    },
    /// The person who asked for a sync can be answered.
    Synced(SyncEnd),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncEnd {
    Passed { commit: CommitId, end: PassEnd },
    NothingWanted,
    FetchFailed,
}

/// One thing at a time, at its time.
#[derive(Debug, Default)]
struct Lane {
    running: bool,
    due: Option<Duration>,
    failures: u32,
}

impl Lane {
    fn no_later_than(&mut self, time: Duration) {
        self.due = Some(self.due.map_or(time, |due| due.min(time)));
    }

    /// Begins if it is time and nothing runs.
    fn begin(&mut self, now: Duration) -> bool {
        let begins = !self.running && self.due.is_some_and(|due| due <= now);
        if begins {
            self.running = true;
            self.due = None;
        }
        begins
    }

    fn succeeded(&mut self) {
        self.running = false;
        self.failures = 0;
    }

    fn failed(&mut self, now: Duration, backoff: Backoff, random: f64) {
        self.running = false;
        self.failures = self.failures.saturating_add(1);
        self.no_later_than(now + backoff.after(self.failures, random));
    }

    fn waiting(&self) -> Option<Duration> {
        if self.running { None } else { self.due }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    BeforeFetch,
    InFetch,
    BeforePass,
    InPass,
}

#[derive(Debug)]
pub struct Schedule {
    resync: Duration,
    prepared: bool,
    wanted: Wanted,
    /// `devops-sync` in the mirror.
    tip: Option<CommitId>,
    /// What the last pass worked on, complete or not.
    passed: Option<CommitId>,
    /// The last commit that was applied wholly.
    complete: Option<CommitId>,
    /// `agent-sync` as last seen at the remote.
    tagged: Option<CommitId>,
    tag_rights: TagRights,
    prepare: Lane,
    fetch: Lane,
    pass: Lane,
    tags: Lane,
    sync: Option<Sync>,
    drifts: u32,
    last_drift: Option<Duration>,
}

impl Schedule {
    pub fn new(resync: Duration) -> Self {
        Self {
            resync,
            prepared: false,
            wanted: Wanted {
                generation: 0,
                commit: None,
            },
            tip: None,
            passed: None,
            complete: None,
            tagged: None,
            tag_rights: TagRights::Unchecked,
            prepare: Lane::default(),
            fetch: Lane::default(),
            pass: Lane::default(),
            tags: Lane::default(),
            sync: None,
            drifts: 0,
            last_drift: None,
        }
    }

    pub fn is_prepared(&self) -> bool {
        self.prepared
    }

    /// The tag that is known to stand at the remote.
    pub fn tagged(&self) -> Option<CommitId> {
        self.tagged
    }

    /// Takes what happened and tells what to begin. `random` is in 0..1.
    pub fn step(&mut self, now: Duration, random: f64, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Started => self.prepare.no_later_than(now),
            Input::Prepared { local, tags } => {
                self.prepare.succeeded();
                self.prepared = true;
                self.tag_rights = tags;
                self.tip = local;
                if local.is_some() {
                    self.pass.no_later_than(now);
                }
                // A thousand environments that start together must not all fetch at once what they have.
                let known = local.is_some() && local == self.wanted.commit && self.sync.is_none();
                self.fetch.due = Some(if known {
                    now + self.resync.mul_f64(random)
                } else {
                    now
                });
            }
            Input::PrepareFailed => self.prepare.failed(now, PREPARE, random),
            Input::Wanted(wanted) => self.wanted(now, wanted),
            Input::Fetched { parsed, applied } => self.fetched(now, random, parsed, applied, &mut actions),
            Input::FetchNotYet => self.fetch_failed(now, NOT_YET, random, &mut actions),
            Input::FetchFailed => self.fetch_failed(now, FETCH, random, &mut actions),
            Input::Converged { commit, end } => self.converged(now, random, commit, end, &mut actions),
            Input::TagsChecked => {
                self.tags.succeeded();
                self.tag_rights = TagRights::Checked;
                self.tag_if_due(now);
            }
            Input::TagMoved { commit } => {
                self.tags.succeeded();
                self.tagged = Some(commit);
                self.tag_if_due(now);
            }
            Input::TagElsewhere { found } => {
                self.tagged = found;
                self.tags.failed(now, TAGS, random);
            }
            Input::TagsFailed => self.tags.failed(now, TAGS, random),
            Input::Drifted => self.drifted(now, random),
            Input::KindsChanged => {
                if self.passed.is_some() && self.passed != self.complete {
                    self.pass.no_later_than(now);
                }
            }
            Input::SyncAsked => {
                self.sync = Some(Sync::BeforeFetch);
                self.prepare.failures = 0;
                self.fetch.no_later_than(now);
                if !self.prepared {
                    self.prepare.no_later_than(now);
                }
            }
            Input::Tick => {}
        }
        self.begin(now, &mut actions);
        actions
    }

    /// When [`Input::Tick`] is due, if at all.
    pub fn next_tick(&self) -> Option<Duration> {
        let lanes = match self.prepared {
            false => [self.prepare.waiting(), None, None],
            true => {
                let pass = self.pass.waiting().filter(|_| self.tip.is_some());
                [self.fetch.waiting(), pass, self.tags.waiting()]
            }
        };
        lanes.into_iter().flatten().min()
    }

    fn begin(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if !self.prepared {
            if self.prepare.begin(now) {
                actions.push(Action::Prepare);
            }
            return;
        }
        if self.fetch.begin(now) {
            if self.sync == Some(Sync::BeforeFetch) {
                self.sync = Some(Sync::InFetch);
            }
            actions.push(Action::Fetch);
        }
        if let Some(commit) = self.tip
            && self.pass.begin(now)
        {
            if self.sync == Some(Sync::BeforePass) {
                self.sync = Some(Sync::InPass);
            }
            actions.push(Action::Converge { commit });
        }
        if self.tags.begin(now) {
            match (self.tag_rights, self.complete) {
                (TagRights::Unchecked, _) => actions.push(Action::CheckTags),
                (TagRights::Checked, Some(commit)) => actions.push(Action::MoveTag { commit }),
                (TagRights::Checked, None) => self.tags.running = false,
            }
        }
    }

    fn wanted(&mut self, now: Duration, wanted: Wanted) {
        if wanted.generation < self.wanted.generation {
            return;
        }
        let news = wanted != self.wanted;
        self.wanted = wanted;
        if wanted.commit.is_some() && wanted.commit == self.tip {
            // Same files under another rule, for instance a confirmed deletion.
            if news {
                self.pass.failures = 0;
                self.pass.no_later_than(now);
            }
        } else if news || self.fetch.failures > 0 {
            self.fetch.failures = 0;
            self.fetch.no_later_than(now);
        }
        if news && !self.prepared && !self.prepare.running {
            self.prepare.no_later_than(now);
        }
    }

    fn fetched(
        &mut self,
        now: Duration,
        random: f64,
        parsed: Option<CommitId>,
        applied: Option<CommitId>,
        actions: &mut Vec<Action>,
    ) {
        let stale = self.wanted.commit.is_some() && parsed != self.wanted.commit && parsed == self.tip;
        let news_waits = self.fetch.due.is_some();
        self.tip = parsed;
        self.tagged = applied;
        if stale && !news_waits {
            // The host that was asked lags behind the one that told of the commit.
            self.fetch.failed(now, NOT_YET, random);
        } else {
            self.fetch.succeeded();
            if !stale {
                self.wanted.commit = parsed;
            }
            self.fetch
                .no_later_than(now + self.resync.mul_f64(0.9 + random * 0.2));
        }
        match (self.sync, parsed) {
            (Some(Sync::InFetch), None) => {
                self.sync = None;
                actions.push(Action::Synced(SyncEnd::NothingWanted));
            }
            (Some(Sync::InFetch), Some(_)) => self.sync = Some(Sync::BeforePass),
            _ => {}
        }
        if parsed.is_some() {
            self.pass.no_later_than(now);
        }
        if self.tag_rights == TagRights::Unchecked {
            self.tags.no_later_than(now);
        }
        self.tag_if_due(now);
    }

    fn fetch_failed(&mut self, now: Duration, backoff: Backoff, random: f64, actions: &mut Vec<Action>) {
        self.fetch.failed(now, backoff, random);
        // What is delivered stays looked after while the host is away.
        if self.tip.is_some() {
            self.pass
                .no_later_than(now + self.resync.mul_f64(0.9 + random * 0.2));
        }
        if self.sync == Some(Sync::InFetch) && backoff.first == FETCH.first {
            self.sync = None;
            actions.push(Action::Synced(SyncEnd::FetchFailed));
        }
    }

    fn converged(
        &mut self,
        now: Duration,
        random: f64,
        commit: CommitId,
        end: PassEnd,
        actions: &mut Vec<Action>,
    ) {
        self.passed = Some(commit);
        match end {
            PassEnd::Complete => {
                self.pass.succeeded();
                self.complete = Some(commit);
                self.tag_if_due(now);
            }
            PassEnd::Waits => {
                self.pass.succeeded();
                self.complete = None;
            }
            PassEnd::Failed => {
                self.pass.failed(now, PASS, random);
                self.complete = None;
            }
        }
        if self.tip != Some(commit) {
            self.pass.no_later_than(now);
        }
        if self.sync == Some(Sync::InPass) {
            self.sync = None;
            actions.push(Action::Synced(SyncEnd::Passed { commit, end }));
        }
    }

    /// The tag is moved whenever it is not where the last complete pass was, by whomever.
    fn tag_if_due(&mut self, now: Duration) {
        let due = self.complete.is_some() && self.complete == self.tip && self.complete != self.tagged;
        if due && self.tags.failures == 0 {
            self.tags.no_later_than(now);
        }
    }

    fn drifted(&mut self, now: Duration, random: f64) {
        let calm = self
            .last_drift
            .is_none_or(|last| now.saturating_sub(last) > DRIFT_CALM);
        self.drifts = if calm { 0 } else { self.drifts.saturating_add(1) };
        let due = match self.drifts {
            0 => now,
            repeats => now.max(self.last_drift.unwrap_or(now) + DRIFT.after(repeats, random)),
        };
        // A wait for a retry that is longer is cut short: what drifted may be another object than what failed.
        if self.pass.due.is_none_or(|already| already > due) {
            self.last_drift = Some(due);
            self.pass.no_later_than(due);
        }
    }
}

#[cfg(test)]
mod tests {
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
}
