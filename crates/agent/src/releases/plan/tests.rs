use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: Duration = Duration::from_secs(1000);
const NOW_MS: i64 = 1_700_000_000_000;

use ReleaseStatus::{
    Deployed, Failed, PendingInstall, PendingUpgrade, Superseded, Uninstalled, Uninstalling,
};

fn wish(version: &str, more: serde_json::Value) -> Wish {
    let mut spec =
        json!({ "chartName": "web", "chartVersion": version, "repoUrl": "https://charts.example.com" });
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Wish::read(&spec).ok().unwrap()
}

fn digest(version: &str) -> SpecDigest {
    wish(version, json!({})).digest
}

/// Revisions from 1 on: state, and the version of the chart that our label speaks of.
fn history(revisions: &[(ReleaseStatus, Option<&str>)]) -> History {
    revisions
        .iter()
        .zip(1..)
        .map(|((status, version), number)| {
            let revision = Revision {
                number,
                status: *status,
                digest: version.map(digest),
                made_ms: NOW_MS,
            };
            (number, revision)
        })
        .collect()
}

struct Case {
    wish: Wish,
    deletion: Deletion,
    finalizer: Finalizer,
    history: History,
    recorded: Recorded,
    memory: Memory,
}

impl Case {
    fn new(version: &str, revisions: &[(ReleaseStatus, Option<&str>)]) -> Self {
        let history = history(revisions);
        let recorded = Recorded {
            phase: Some(Phase::Deployed),
            revision: history.keys().next_back().copied(),
            ..Recorded::default()
        };
        Self {
            wish: wish(version, json!({})),
            deletion: Deletion::No,
            finalizer: Finalizer::Present,
            history,
            recorded,
            memory: Memory::default(),
        }
    }

    fn asking(mut self, version: &str, more: serde_json::Value) -> Self {
        self.wish = wish(version, more);
        self
    }

    fn in_phase(mut self, phase: Phase) -> Self {
        self.recorded.phase = Some(phase);
        self
    }

    fn recorded(mut self, revision: Option<u32>) -> Self {
        self.recorded.revision = revision;
        self.recorded.digest = Some(self.wish.digest.clone());
        self
    }

    fn next(&self) -> Step {
        next(View {
            wish: Some(&self.wish),
            deletion: self.deletion,
            finalizer: self.finalizer,
            history: &self.history,
            recorded: &self.recorded,
            memory: &self.memory,
            now: NOW,
            now_ms: NOW_MS,
        })
    }
}

#[test]
fn what_is_wanted_follows_from_what_there_is() {
    let back = |revision| Step::RollBack { revision };
    type Row<'a> = (&'a str, &'a [(ReleaseStatus, Option<&'a str>)], Step);
    let rows: &[Row<'_>] = &[
        ("nothing there", &[], Step::Install),
        ("as wanted", &[(Deployed, Some("2"))], Step::Settled),
        (
            "another is wanted",
            &[(Deployed, Some("1"))],
            Step::Upgrade(Cause::Changed),
        ),
        (
            "made by plain helm",
            &[(Deployed, None)],
            Step::Upgrade(Cause::Adoption),
        ),
        (
            "an earlier one is wanted again",
            &[(Superseded, Some("2")), (Deployed, Some("1"))],
            back(1),
        ),
        ("the first install failed", &[(Failed, Some("2"))], Step::Install),
        (
            "the upgrade failed",
            &[(Deployed, Some("1")), (Failed, Some("2"))],
            Step::Upgrade(Cause::Again),
        ),
        (
            "it failed and something else is wanted now",
            &[(Deployed, Some("1")), (Failed, Some("3"))],
            Step::Upgrade(Cause::Changed),
        ),
        (
            "it failed and the standing one is wanted again",
            &[
                (Superseded, Some("2")),
                (Deployed, Some("2")),
                (Failed, Some("3")),
            ],
            back(2),
        ),
        (
            "uninstalled with its history",
            &[(Uninstalled, Some("2"))],
            Step::Install,
        ),
    ];
    for (name, revisions, step) in rows {
        assert_eq!(Case::new("2", revisions).next(), *step, "{name}");
    }
}

#[test]
fn without_its_finalizer_nothing_is_made() {
    let mut case = Case::new("1", &[]);
    case.finalizer = Finalizer::Absent;
    assert_eq!(case.next(), Step::AddFinalizer);
    case.deletion = Deletion::Asked;
    assert_eq!(case.next(), Step::Nothing);
}

#[test]
fn what_a_killed_process_left_pending_is_recovered_and_others_are_left_their_time() {
    for status in [PendingInstall, PendingUpgrade, Uninstalling] {
        let case = Case::new("2", &[(Deployed, Some("1")), (status, Some("2"))]);
        assert_eq!(case.in_phase(Phase::Upgrading).next(), Step::Recover, "{status}");
    }
    let mut foreign = Case::new("2", &[(Deployed, Some("2")), (PendingUpgrade, Some("2"))]);
    assert_eq!(
        foreign.next(),
        Step::Wait {
            until: NOW + FOREIGN_PATIENCE,
            why: Pause::Foreign { revision: 2 }
        }
    );
    foreign.history.get_mut(&2).unwrap().made_ms -= 1_000_000;
    assert_eq!(foreign.next(), Step::Recover, "nobody takes so long");
    foreign.history.get_mut(&2).unwrap().made_ms = i64::MAX;
    assert_eq!(
        foreign.next(),
        Step::Wait {
            until: NOW + FOREIGN_PATIENCE,
            why: Pause::Foreign { revision: 2 }
        },
        "a clock that is wrong costs the same time and no more"
    );
}

#[test]
fn what_has_failed_waits_and_a_changed_wish_does_not() {
    let revisions: &[_] = &[(Deployed, Some("1")), (Failed, Some("2"))];
    let mut case = Case::new("2", revisions);
    case.memory.failed(
        &digest("2"),
        NOW,
        super::super::memory::Prospect::Lasting,
        u64::MAX,
    );
    assert_eq!(
        case.next(),
        Step::Wait {
            until: NOW + Duration::from_secs(60),
            why: Pause::Failed
        }
    );
    case.memory.order_retry();
    assert_eq!(case.next(), Step::Upgrade(Cause::Again), "a person says: now");

    let mut changed = Case::new("3", revisions);
    changed.memory.failed(
        &digest("2"),
        NOW,
        super::super::memory::Prospect::Lasting,
        u64::MAX,
    );
    assert_eq!(changed.next(), Step::Upgrade(Cause::Changed));
}

#[test]
fn what_was_rolled_back_after_a_failure_is_not_tried_for_ever() {
    let revisions: &[_] = &[
        (Superseded, Some("1")),
        (Failed, Some("2")),
        (Deployed, Some("1")),
    ];
    let held = Case::new("2", revisions).asking("2", json!({ "onFailure": "RollBack" }));
    assert_eq!(held.next(), Step::Held(Hold::RolledBack { to: 3 }));

    let changed = Case::new("3", revisions).asking("3", json!({ "onFailure": "RollBack" }));
    assert_eq!(changed.next(), Step::Upgrade(Cause::Changed));
    let given_up = Case::new("1", revisions).asking("1", json!({ "onFailure": "RollBack" }));
    assert_eq!(given_up.next(), Step::Settled, "Git goes back to it as well");
    let mut ordered = Case::new("2", revisions).asking("2", json!({ "onFailure": "RollBack" }));
    ordered.memory.order_retry();
    assert_eq!(ordered.next(), Step::Upgrade(Cause::Changed));
}

#[test]
fn a_cancelled_operation_is_not_begun_again_by_itself() {
    let mut case = Case::new("2", &[(Deployed, Some("1")), (Failed, Some("2"))]);
    case.recorded.cancelled = true;
    assert_eq!(case.next(), Step::Held(Hold::Cancelled));
    case.memory.order_retry();
    assert_eq!(case.next(), Step::Upgrade(Cause::Again));
}

#[test]
fn a_revision_made_by_hand_is_put_back_or_only_told() {
    // `helm upgrade --set` keeps our label: only the number tells.
    let revisions: &[_] = &[(Superseded, Some("1")), (Deployed, Some("1"))];
    let case = Case::new("1", revisions).recorded(Some(1));
    assert_eq!(case.next(), Step::RollBack { revision: 1 });

    let told = Case::new("1", revisions)
        .asking("1", json!({ "drift": "Report" }))
        .recorded(Some(1));
    assert_eq!(told.next(), Step::Held(Hold::ByHand { revision: 2 }));

    let pruned = Case::new("1", &[(Deployed, Some("1"))]).recorded(Some(9));
    assert_eq!(pruned.next(), Step::Upgrade(Cause::ByHand));

    // Killed after Helm had ended and before that was written down: it is ours.
    let ours = Case::new("1", revisions)
        .recorded(Some(1))
        .in_phase(Phase::Upgrading);
    assert_eq!(ours.next(), Step::Settled);
}

#[test]
fn stop_and_start_are_finished_after_a_kill() {
    let stopped = json!({ "stopped": true });
    let case = |more: &serde_json::Value, phase, sized| {
        let mut case = Case::new("1", &[(Deployed, Some("1"))])
            .asking("1", more.clone())
            .in_phase(phase);
        case.recorded.stopped = sized;
        case.next()
    };
    assert_eq!(case(&stopped, Phase::Deployed, false), Step::Stop);
    assert_eq!(case(&stopped, Phase::Stopping, true), Step::Stop);
    assert_eq!(case(&stopped, Phase::Stopped, true), Step::Settled);
    let started = json!({});
    assert_eq!(case(&started, Phase::Stopped, true), Step::Start);
    assert_eq!(case(&started, Phase::Starting, true), Step::Start);
    assert_eq!(case(&started, Phase::Starting, false), Step::Start);
    assert_eq!(case(&started, Phase::Deployed, false), Step::Settled);
}

#[test]
fn drift_is_looked_at_when_something_was_seen_to_change() {
    let mut case = Case::new("1", &[(Deployed, Some("1"))]);
    case.memory.suspect_drift();
    assert_eq!(case.next(), Step::CheckDrift);
    let mut stopped = case
        .asking("1", json!({ "stopped": true }))
        .in_phase(Phase::Stopped);
    stopped.recorded.stopped = true;
    assert_eq!(
        stopped.next(),
        Step::Stop,
        "what was started by hand is stopped again"
    );
}

#[test]
fn a_deleted_object_goes_when_its_release_has_gone() {
    type Row<'a> = (&'a [(ReleaseStatus, Option<&'a str>)], serde_json::Value, Step);
    let rows: &[Row<'_>] = &[
        (&[], json!({}), Step::RemoveFinalizer),
        (
            &[(Deployed, Some("1"))],
            json!({}),
            Step::Uninstall(OnDelete::ForgetHistory),
        ),
        (
            &[(Failed, Some("1"))],
            json!({}),
            Step::Uninstall(OnDelete::ForgetHistory),
        ),
        (
            &[(Deployed, Some("1"))],
            json!({ "keepHistory": true }),
            Step::Uninstall(OnDelete::KeepHistory),
        ),
        (
            &[(Uninstalled, Some("1"))],
            json!({ "keepHistory": true }),
            Step::RemoveFinalizer,
        ),
        (&[(Uninstalling, Some("1"))], json!({}), Step::Recover),
    ];
    for (revisions, more, step) in rows {
        let mut case = Case::new("1", revisions).asking("1", more.clone());
        case.deletion = Deletion::Asked;
        assert_eq!(case.next(), *step, "{revisions:?} {more}");
        case.deletion = Deletion::GivenUp;
        assert_eq!(case.next(), Step::RemoveFinalizer);
    }
}

/// How a step ends in the played world.
#[derive(Debug, Clone, Copy)]
enum Luck {
    Well,
    Fails,
    /// The agent is killed before anything, in the middle, or after Helm and before the status.
    KilledBefore,
    KilledAmid,
    KilledAfter,
}

/// Helm and the cluster, as far as a plan can tell.
struct Played {
    case: Case,
    now: Duration,
    helm_calls: usize,
}

impl Played {
    fn new(version: &str, more: serde_json::Value) -> Self {
        let mut case = Case::new(version, &[]).asking(version, more);
        case.recorded = Recorded::default();
        case.finalizer = Finalizer::Absent;
        Self {
            case,
            now: NOW,
            helm_calls: 0,
        }
    }

    fn step(&self) -> Step {
        next(View {
            wish: Some(&self.case.wish),
            deletion: self.case.deletion,
            finalizer: self.case.finalizer,
            history: &self.case.history,
            recorded: &self.case.recorded,
            memory: &self.case.memory,
            now: self.now,
            now_ms: NOW_MS + i64::try_from((self.now - NOW).as_millis()).unwrap(),
        })
    }

    fn restart(&mut self) {
        self.case.memory = Memory::default();
        self.now = NOW;
    }

    fn push(&mut self, status: ReleaseStatus, digest: SpecDigest) -> u32 {
        let number = self.case.history.keys().next_back().map_or(1, |last| last + 1);
        let revision = Revision {
            number,
            status,
            digest: Some(digest),
            made_ms: NOW_MS,
        };
        self.case.history.insert(number, revision);
        number
    }

    fn operate(&mut self, phase: Phase, pending: ReleaseStatus, digest: SpecDigest, luck: Luck) {
        if matches!(luck, Luck::KilledBefore) {
            return self.restart();
        }
        self.case.recorded.phase = Some(phase);
        self.helm_calls += 1;
        let number = self.push(pending, digest.clone());
        let mut become_ = |status| self.case.history.get_mut(&number).unwrap().status = status;
        match luck {
            Luck::KilledAmid => return self.restart(),
            Luck::Fails => {
                become_(Failed);
                self.case.recorded.phase = Some(Phase::Failed);
                return self.case.memory.failed(
                    &self.case.wish.digest,
                    self.now,
                    super::super::memory::Prospect::Passing,
                    7,
                );
            }
            _ => {
                become_(Deployed);
                for (_, before) in self.case.history.range_mut(..number) {
                    if before.status == Deployed {
                        before.status = Superseded;
                    }
                }
            }
        }
        if matches!(luck, Luck::KilledAfter) {
            return self.restart();
        }
        self.deployed(number, digest);
    }

    fn deployed(&mut self, number: u32, digest: SpecDigest) {
        self.case.recorded.revision = Some(number);
        self.case.recorded.digest = Some(digest);
        self.case.recorded.phase = Some(Phase::Deployed);
        self.case.memory.succeeded();
    }

    fn carry_out(&mut self, step: &Step, luck: Luck) {
        let wanted = self.case.wish.digest.clone();
        if matches!(step, Step::Settled | Step::Stop | Step::Start | Step::CheckDrift) {
            self.case.recorded.revision = self.case.history.keys().next_back().copied();
            self.case.recorded.digest = Some(wanted.clone());
        }
        match step {
            Step::AddFinalizer => self.case.finalizer = Finalizer::Present,
            Step::RemoveFinalizer => self.case.finalizer = Finalizer::Absent,
            Step::Install => self.operate(Phase::Installing, PendingInstall, wanted, luck),
            Step::Upgrade(_) => self.operate(Phase::Upgrading, PendingUpgrade, wanted, luck),
            Step::RollBack { revision } => {
                let digest = self.case.history[revision].digest.clone().unwrap();
                self.operate(Phase::RollingBack, PendingUpgrade, digest, luck);
            }
            Step::Recover => {
                let last = self.case.history.values_mut().next_back().unwrap();
                last.status = Failed;
            }
            Step::Stop => {
                self.case.recorded.stopped = true;
                self.case.recorded.phase = Some(match luck {
                    Luck::Well => Phase::Stopped,
                    _ => Phase::Stopping,
                });
            }
            Step::Start => {
                self.case.recorded.phase = Some(Phase::Starting);
                if matches!(luck, Luck::Well) {
                    self.case.recorded.stopped = false;
                    self.case.recorded.phase = Some(Phase::Deployed);
                }
            }
            Step::CheckDrift => self.case.memory.drift_checked(),
            Step::Uninstall(_) => {
                self.case.recorded.phase = Some(Phase::Uninstalling);
                match luck {
                    Luck::Well | Luck::KilledAfter => self.case.history.clear(),
                    Luck::Fails => self.case.memory.uninstall_failed(self.now, 3),
                    _ => {
                        let last = self.case.history.values_mut().next_back().unwrap();
                        last.status = Uninstalling;
                        self.restart();
                    }
                }
            }
            Step::Wait { until, .. } => {
                assert!(*until > self.now, "a wait that is over");
                self.now = *until;
            }
            Step::Settled => {
                self.case.recorded.phase = Some(match self.case.wish.running {
                    Running::Started => Phase::Deployed,
                    Running::Stopped => Phase::Stopped,
                });
            }
            Step::Held(_) | Step::Nothing => {}
        }
    }
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        Just(Luck::Well),
        Just(Luck::Fails),
        Just(Luck::KilledBefore),
        Just(Luck::KilledAmid),
        Just(Luck::KilledAfter),
    ]
}

fn wishes() -> impl Strategy<Value = (u8, bool)> {
    (1..4_u8, any::<bool>())
}

proptest! {
    /// However often it fails, is killed and is asked for something else: with luck it ends as it is wanted.
    #[test]
    fn every_story_ends_well(story in prop::collection::vec((wishes(), luck()), 0..40), last in wishes()) {
        let mut played = Played::new("1", json!({}));
        for ((version, stopped), luck) in story {
            played.case.wish = wish(&version.to_string(), json!({ "stopped": stopped }));
            let step = played.step();
            played.carry_out(&step, luck);
        }
        played.case.wish = wish(&last.0.to_string(), json!({ "stopped": last.1 }));
        let mut steps = 0;
        while played.step() != Step::Settled {
            let step = played.step();
            prop_assert!(!matches!(step, Step::Held(_) | Step::Nothing), "it gave up: {step:?}");
            played.carry_out(&step, Luck::Well);
            steps += 1;
            prop_assert!(steps < 12, "it goes round in circles: {step:?}");
        }
        let newest = played.case.history.values().next_back().unwrap();
        prop_assert_eq!(newest.status, Deployed);
        prop_assert_eq!(newest.digest.as_ref(), Some(&played.case.wish.digest));
        prop_assert_eq!(played.case.recorded.stopped, last.1);

        let calls = played.helm_calls;
        let step = played.step();
        played.carry_out(&step, Luck::Well);
        prop_assert_eq!(played.step(), Step::Settled, "what is as it is wanted stays so");
        prop_assert_eq!(played.helm_calls, calls, "and costs no Helm call");
    }

    /// What always fails is tried again and again, but never without a wait in between.
    #[test]
    fn nothing_is_tried_in_a_hot_loop(version in 1..4_u8) {
        let mut played = Played::new(&version.to_string(), json!({}));
        let began = played.now;
        for _ in 0..200 {
            let step = played.step();
            played.carry_out(&step, Luck::Fails);
        }
        let took = (played.now - began).as_secs_f64();
        prop_assert!(played.helm_calls > 5 && (played.helm_calls as f64) < 10.0 + took / 60.0, "{} in {took} s", played.helm_calls);
    }

    /// A deletion at any moment of any story ends with the object gone, and never before its release.
    #[test]
    fn every_deletion_ends(story in prop::collection::vec((wishes(), luck()), 0..20), after in prop::collection::vec(luck(), 0..10)) {
        let mut played = Played::new("1", json!({}));
        for ((version, stopped), luck) in story {
            played.case.wish = wish(&version.to_string(), json!({ "stopped": stopped }));
            let step = played.step();
            played.carry_out(&step, luck);
        }
        played.case.deletion = Deletion::Asked;
        for luck in after.into_iter().chain([Luck::Well; 6]) {
            let step = played.step();
            if step == Step::RemoveFinalizer {
                prop_assert!(played.case.history.is_empty());
            }
            played.carry_out(&step, luck);
        }
        prop_assert_eq!(played.step(), Step::Nothing);
        prop_assert_eq!(played.case.finalizer, Finalizer::Absent);
    }
}
