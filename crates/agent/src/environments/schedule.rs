//! When an environment does what: a state machine without clock, network or chance of its own.
//!
//! In: what happened ([`Input`]), the time since the start and a random number. Out: what to begin now ([`Action`]) and
//! when to ask again ([`Schedule::next_tick`]). Three lanes run beside each other, each with at most one thing at a
//! time: fetch, pass (one convergence on one commit) and tags. The newest generation wins; waiting for a retry is cut
//! short by news, a pass that runs never is.

mod lane;
mod words;

use std::time::Duration;

use c7n_git::CommitId;

use lane::{Backoff, Lane};
pub use words::{Action, Input, PassEnd, SyncEnd, TagRights, Wanted};

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
mod tests;
