//! What the controller keeps of one release between its turns. Pure but for the time given in.

use std::time::Duration;

use c7n_link::backoff::Backoff;
use tokio::time::Instant;

use crate::releases::history::History;
use crate::releases::memory::Memory;
use crate::releases::plan::{Hold, Pause, Step};
use crate::releases::release::Release;
use crate::releases::spec::Running as Wanted;
use crate::releases::status::Phase;
use crate::releases::work::{Aim, Stops, Verdict};

/// An API server that does not answer is asked again this soon, and at the latest after.
const TROUBLE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Drift is looked for this often, whatever the watch has shown.
const SLOW_CLOCK: Duration = Duration::from_secs(600);
/// The first time comes sooner: nobody has watched while the agent was away.
const FIRST_LOOK: Duration = Duration::from_secs(20);
/// An object that is to go is looked at this often, since its namespace may go meanwhile.
const LEAVING: Duration = Duration::from_secs(10);

/// A task that goes on.
pub struct Running {
    pub stops: Stops,
    pub aim: Aim,
}

impl Running {
    /// Whether what is wanted now is something else than what the task works for.
    pub fn is_superseded_by(&self, release: &Release) -> bool {
        self.aim.get().is_some_and(|aim| {
            let leaving = release.deleting_since_ms.is_some();
            let digest = release.wish.as_ref().ok().map(|wish| &wish.digest);
            aim.generation < release.generation && !aim.leaving && digest != aim.digest.as_ref()
                || aim.leaving != leaving
        })
    }
}

pub struct Slot {
    pub memory: Memory,
    pub running: Option<Running>,
    /// Something changed while the task ran.
    pub again: bool,
    pub due: Option<Instant>,
    /// Until when the API server is left alone.
    pub rests_until: Option<Instant>,
    trouble: Backoff,
    touched: bool,
    retry: bool,
    look: Instant,
}

pub enum Turn {
    Rest,
    Work,
}

impl Slot {
    pub fn new(now: Instant) -> Self {
        let first = FIRST_LOOK.mul_f64(0.25 + rand::random::<f64>());
        Self {
            memory: Memory::default(),
            running: None,
            again: false,
            due: Some(now + first),
            rests_until: None,
            trouble: Backoff::new(TROUBLE.0, TROUBLE.1),
            touched: false,
            retry: false,
            look: now + first,
        }
    }

    /// Whether its time has come; what it waited for is forgotten.
    pub fn is_due(&mut self, now: Instant) -> bool {
        if now >= self.look {
            self.look = now + SLOW_CLOCK.mul_f64(0.9 + rand::random::<f64>() * 0.2);
            self.memory.suspect_drift();
            self.due = Some(now);
        }
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            self.due = Some(self.look);
        }
        due
    }

    /// Whether the step is worth a look at the cluster.
    pub fn turn(
        &mut self,
        step: &Step,
        release: &Release,
        history: &History,
        began: Instant,
        now: Instant,
    ) -> Turn {
        let told = release.status.observed_generation == Some(release.generation);
        let is_phase = |phase| release.status.phase == Some(phase);
        let rests = match step {
            Step::Nothing => true,
            Step::Settled => told && is_settled(release, history),
            Step::Held(Hold::ByHand { .. }) => {
                told && release
                    .status
                    .condition("Drifted")
                    .is_some_and(|it| it.status == "True")
            }
            Step::Held(_) => told && is_phase(Phase::Failed),
            Step::Wait { until, why } => {
                let mut due = began + *until;
                if release.deleting_since_ms.is_some() {
                    due = due.min(now + LEAVING);
                }
                self.due = Some(due.min(self.look));
                match why {
                    Pause::Failed => told && release.deleting_since_ms.is_none(),
                    Pause::Foreign { .. } => told && is_phase(Phase::Pending),
                }
            }
            _ => false,
        };
        if rests { Turn::Rest } else { Turn::Work }
    }

    pub fn begun(&mut self, running: Running) {
        self.running = Some(running);
        self.again = false;
        self.touched = false;
    }

    /// `now` by both clocks: the machine's, and since the controller began.
    pub fn ended(&mut self, verdict: Verdict, now: (Instant, Duration), random: u64) {
        let touched = std::mem::take(&mut self.touched);
        self.running = None;
        self.rests_until = None;
        if !matches!(verdict, Verdict::Trouble(_)) {
            self.trouble.reset();
        }
        match verdict {
            Verdict::Again | Verdict::BrokenOff => {}
            Verdict::Rests => self.memory.retry_spent(),
            Verdict::Done => {
                self.memory.succeeded();
                // What was touched was touched by the operation itself.
                self.memory.drift_checked();
            }
            Verdict::DriftChecked => {
                self.memory.drift_checked();
                if touched {
                    self.memory.suspect_drift();
                }
            }
            Verdict::Failed { digest, prospect } => self.memory.failed(&digest, now.1, prospect, random),
            Verdict::UninstallFailed => self.memory.uninstall_failed(now.1, random),
            Verdict::Trouble(_) => {
                let wait = self.trouble.next(random, None).max(TROUBLE.0 / 4);
                self.rests_until = Some(now.0 + wait);
            }
        }
        if std::mem::take(&mut self.retry) {
            self.memory.order_retry();
        }
    }

    pub fn touched(&mut self, due: Instant) {
        if self.running.is_some() {
            self.touched = true;
        } else {
            self.memory.suspect_drift();
            self.due = Some(self.due.map_or(due, |known| known.min(due)));
        }
    }

    pub fn order_retry(&mut self) {
        self.rests_until = None;
        if self.running.is_some() {
            self.retry = true;
        } else {
            self.memory.order_retry();
        }
    }
}

/// Whether the status already says all that a release says which is as it is wanted.
fn is_settled(release: &Release, history: &History) -> bool {
    let status = &release.status;
    let phase = match release.wish.as_ref().map(|wish| wish.running) {
        Ok(Wanted::Started) => Phase::Deployed,
        Ok(Wanted::Stopped) => Phase::Stopped,
        Err(_) => return false,
    };
    status.phase == Some(phase)
        && status.revision == history.keys().next_back().copied()
        && status.last_error.is_none()
        && status.condition("Reconciling").is_none()
        && status.condition("Stalled").is_none()
        && status
            .condition("Ready")
            .is_some_and(|ready| ready.status == "True")
}

#[cfg(test)]
mod tests {
    use c7n_helm::{ReleaseStatus, SpecDigest};
    use kube::core::DynamicObject;
    use serde_json::{Value, json};

    use super::*;
    use crate::releases::history::Revision;
    use crate::releases::memory::Prospect;

    fn release(status: Value) -> Release {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "choerodon.io/v1alpha1", "kind": "C7NHelmRelease",
            "metadata": { "name": "web", "namespace": "shop", "generation": 3 },
            "spec": { "chartName": "web", "chartVersion": "1.0.0", "repoUrl": "https://charts.example.com" },
            "status": status,
        }))
        .unwrap();
        Release::read(&object).unwrap()
    }

    fn deployed() -> Value {
        json!({
            "phase": "Deployed", "revision": 7, "observedGeneration": 3,
            "conditions": [{ "type": "Ready", "status": "True", "reason": "Deployed", "lastTransitionTime": "" }],
        })
    }

    fn history(number: u32) -> History {
        let revision = Revision {
            number,
            status: ReleaseStatus::Deployed,
            digest: None,
            made_ms: 0,
        };
        History::from([(number, revision)])
    }

    fn rests(step: &Step, release: &Release, number: u32) -> bool {
        let now = Instant::now();
        let turn = Slot::new(now).turn(step, release, &history(number), now, now);
        matches!(turn, Turn::Rest)
    }

    #[tokio::test]
    async fn what_is_said_already_is_not_looked_at_again() {
        assert!(rests(&Step::Settled, &release(deployed()), 7));
        assert!(
            !rests(&Step::Settled, &release(deployed()), 8),
            "the status tells of an older revision"
        );
        assert!(!rests(&Step::Settled, &release(Value::Null), 7));
        let failed = json!({ "phase": "Failed", "observedGeneration": 3 });
        assert!(rests(&Step::Held(Hold::Cancelled), &release(failed), 7));
        assert!(!rests(&Step::Held(Hold::Invalid), &release(deployed()), 7));
        assert!(!rests(&Step::Install, &release(deployed()), 7));
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_is_looked_at_when_its_time_has_come() {
        let began = Instant::now();
        let mut slot = Slot::new(began);
        let failed = json!({ "phase": "Failed", "observedGeneration": 3 });
        let wait = Step::Wait {
            until: Duration::from_secs(3),
            why: Pause::Failed,
        };
        slot.turn(&wait, &release(failed), &history(7), began, began);
        assert!(!slot.is_due(began + Duration::from_secs(2)));
        assert!(slot.is_due(began + Duration::from_secs(3)));
    }

    #[tokio::test]
    async fn an_operation_hides_what_it_touches_itself_and_a_look_at_drift_does_not() {
        let now = Instant::now();
        let running = || {
            let token = tokio_util::sync::CancellationToken::new();
            Running {
                stops: Stops {
                    shutdown: token.clone(),
                    person: token.clone(),
                    any: token,
                },
                aim: Aim::default(),
            }
        };
        let mut slot = Slot::new(now);
        slot.begun(running());
        slot.touched(now);
        slot.ended(Verdict::Done, (now, Duration::ZERO), 0);
        assert!(!slot.memory.is_drift_suspected());

        slot.begun(running());
        slot.touched(now);
        slot.ended(Verdict::DriftChecked, (now, Duration::ZERO), 0);
        assert!(slot.memory.is_drift_suspected());
    }

    #[tokio::test]
    async fn a_retry_that_was_ordered_while_it_ran_is_not_lost() {
        let now = Instant::now();
        let mut slot = Slot::new(now);
        let token = tokio_util::sync::CancellationToken::new();
        slot.begun(Running {
            stops: Stops {
                shutdown: token.clone(),
                person: token.clone(),
                any: token,
            },
            aim: Aim::default(),
        });
        slot.order_retry();
        let verdict = Verdict::Failed {
            digest: SpecDigest::of("1"),
            prospect: Prospect::Lasting,
        };
        slot.ended(verdict, (now, Duration::ZERO), 0);
        assert!(slot.memory.is_retry_ordered());
    }

    #[tokio::test]
    async fn only_another_wish_supersedes() {
        let token = tokio_util::sync::CancellationToken::new();
        let running = Running {
            stops: Stops {
                shutdown: token.clone(),
                person: token.clone(),
                any: token,
            },
            aim: Aim::at(&release(deployed())),
        };
        let mut next = release(deployed());
        next.generation += 1;
        assert!(!running.is_superseded_by(&next), "the same chart and values");
        if let Ok(wish) = &mut next.wish {
            wish.digest = SpecDigest::of("other");
        }
        assert!(running.is_superseded_by(&next));
        let mut leaving = release(deployed());
        leaving.deleting_since_ms = Some(1);
        assert!(running.is_superseded_by(&leaving));
    }
}
