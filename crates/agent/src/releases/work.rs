//! One step for one release: looks at the cluster, asks the plan, carries out, writes the status.

mod deploy;
mod leave;
mod mend;
mod size;
mod supplies;

use std::sync::{Arc, OnceLock};

use c7n_helm::{EngineError, ReleaseId};
use tokio_util::sync::CancellationToken;

use super::hand::{Hand, now_ms, timestamp};
use super::history::History;
use super::memory::{Memory, Prospect};
use super::plan::{self, Deletion, Hold, Pause, Step, View};
use super::release::Release;
use super::sizes;
use super::spec::{Running, Wish};
use super::status::{CANCELLED, Deployed, Phase, Recorded, Report, Status};
use crate::cluster::ClusterError;
use crate::environments::Resident;

pub use supplies::clear_keyrings;

/// Who may end a step before its time.
#[derive(Clone)]
pub struct Stops {
    /// The agent ends.
    pub shutdown: CancellationToken,
    /// A person cancels.
    pub person: CancellationToken,
    /// Any of these, or something newer is wanted.
    pub any: CancellationToken,
}

/// What a task works for, as soon as it knows.
#[derive(Clone, Default)]
pub struct Aim(Arc<OnceLock<Aimed>>);

pub struct Aimed {
    pub generation: i64,
    pub digest: Option<c7n_helm::SpecDigest>,
    pub leaving: bool,
}

impl Aim {
    /// For the object as it is now.
    pub fn at(release: &Release) -> Self {
        let aim = Self::default();
        aim.set(release);
        aim
    }

    fn set(&self, release: &Release) {
        // Set once per task.
        let _ = self.0.set(Aimed {
            generation: release.generation,
            digest: release.wish.as_ref().ok().map(|wish| wish.digest.clone()),
            leaving: release.deleting_since_ms.is_some(),
        });
    }

    pub fn get(&self) -> Option<&Aimed> {
        self.0.get()
    }
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// There may be more to do: look again.
    Again,
    /// Nothing to do until something changes.
    Rests,
    /// The same, and what failed before is forgotten.
    Done,
    DriftChecked,
    Failed {
        digest: c7n_helm::SpecDigest,
        prospect: Prospect,
    },
    UninstallFailed,
    /// The API server did not answer as it should; soon again.
    Trouble(String),
    /// The agent ends, or something newer is wanted.
    BrokenOff,
}

/// What a step is carried out with.
struct Job {
    hand: Arc<Hand>,
    release: Release,
    resident: Resident,
    history: History,
    stops: Stops,
    /// As it is in the cluster.
    written: Status,
    /// As it is to be.
    status: Status,
}

/// What `plan` is asked about a release.
pub struct Question<'a> {
    pub release: &'a Release,
    pub history: &'a History,
    pub recorded: &'a Recorded,
    pub memory: &'a Memory,
    pub given_up: bool,
}

impl Question<'_> {
    pub fn answer(&self, hand: &Hand) -> Step {
        let deletion = match self.release.deleting_since_ms {
            None => Deletion::No,
            Some(_) if self.given_up => Deletion::GivenUp,
            Some(_) => Deletion::Asked,
        };
        plan::next(View {
            wish: self.release.wish.as_ref().ok(),
            deletion,
            finalizer: self.release.finalizer,
            history: self.history,
            recorded: self.recorded,
            memory: self.memory,
            now: hand.now(),
            now_ms: now_ms(),
        })
    }
}

/// Looks anew and does what is next.
pub async fn step(hand: Arc<Hand>, id: ReleaseId, memory: Memory, stops: Stops, aim: Aim) -> Verdict {
    match Box::pin(attempt(hand, &id, &memory, stops, &aim)).await {
        Ok(verdict) => verdict,
        Err(error) => {
            tracing::warn!(release = %id, %error, "a release could not be looked after; it is tried again");
            Verdict::Trouble(error.to_string())
        }
    }
}

async fn attempt(
    hand: Arc<Hand>,
    id: &ReleaseId,
    memory: &Memory,
    stops: Stops,
    aim: &Aim,
) -> Result<Verdict, ClusterError> {
    let Some(resident) = hand.directory.resident(&id.namespace) else {
        return Ok(Verdict::Rests);
    };
    let Some(release) = hand.release(id).await? else {
        return Ok(Verdict::Rests);
    };
    aim.set(&release);
    let history = hand.history(id).await?;
    let given_up = leave::is_given_up(&hand, &release, &resident).await?;
    let recorded = release.status.recorded(release.generation);
    let question = Question {
        release: &release,
        history: &history,
        recorded: &recorded,
        memory,
        given_up,
    };
    let step = question.answer(&hand);
    tracing::debug!(release = %id, ?step, "next");
    let job = Job {
        written: release.status.clone(),
        status: release.status.clone(),
        hand,
        release,
        resident,
        history,
        stops,
    };
    Box::pin(job.carry_out(step)).await
}

impl Job {
    async fn carry_out(mut self, step: Step) -> Result<Verdict, ClusterError> {
        match step {
            Step::Nothing => Ok(Verdict::Rests),
            Step::AddFinalizer => {
                self.hand.add_finalizer(&self.release).await?;
                Ok(Verdict::Again)
            }
            Step::RemoveFinalizer => {
                self.hand.remove_finalizer(&self.release).await?;
                Ok(Verdict::Rests)
            }
            Step::Uninstall(on_delete) => self.uninstall(on_delete).await,
            Step::Recover => self.recover().await,
            Step::Wait {
                why: Pause::Foreign { revision },
                ..
            } => {
                let words = format!(
                    "revision {revision} is being made by another process; it is waited for, and taken over if it does not end"
                );
                self.report(&Report::Waiting { words: &words });
                self.flush().await?;
                Ok(Verdict::Rests)
            }
            Step::Wait {
                why: Pause::Failed, ..
            } => {
                // The object changed in what makes no revision: it is still the same that failed.
                if self.status.observed_generation != Some(self.release.generation)
                    && let (Some(words), Some(ready)) = (
                        self.status.last_error.clone(),
                        self.status.condition("Ready").cloned(),
                    )
                {
                    self.report(&Report::Failed {
                        reason: &ready.reason,
                        words: &words,
                    });
                    self.flush().await?;
                }
                Ok(Verdict::Rests)
            }
            Step::Held(hold) => self.hold(hold).await,
            step => {
                let Ok(wish) = self.release.wish.clone() else {
                    return Ok(Verdict::Rests);
                };
                Box::pin(self.wanted(step, &wish)).await
            }
        }
    }

    async fn wanted(mut self, step: Step, wish: &Wish) -> Result<Verdict, ClusterError> {
        if matches!(step, Step::Settled | Step::Stop | Step::Start | Step::CheckDrift) {
            self.note_revision(wish);
        }
        match step {
            Step::Settled => {
                self.settle(wish);
                self.flush().await?;
                Ok(Verdict::Rests)
            }
            Step::Install => self.install(wish).await,
            Step::Upgrade(cause) => self.upgrade(wish, cause).await,
            Step::RollBack { revision } => self.roll_back(wish, revision).await,
            Step::Stop => self.stop(wish).await,
            Step::Start => self.start(wish).await,
            Step::CheckDrift => self.check_drift(wish).await,
            _ => Ok(Verdict::Rests),
        }
    }

    async fn hold(mut self, hold: Hold) -> Result<Verdict, ClusterError> {
        match hold {
            // Said when it was cancelled.
            Hold::Cancelled => {}
            Hold::RolledBack { to } => {
                let known = self.status.last_error.clone().unwrap_or_default();
                if self.status.phase != Some(Phase::Failed) {
                    let words = match known.as_str() {
                        "" => format!(
                            "the upgrade failed, and revision {to} is what the one before made; change the spec, or order a retry"
                        ),
                        known => known.to_owned(),
                    };
                    self.report(&Report::Failed {
                        reason: "RolledBack",
                        words: &words,
                    });
                }
            }
            Hold::ByHand { revision } => {
                let words = format!(
                    "revision {revision} was made by hand, not from this object; with spec.drift: Repair it is put back"
                );
                self.report(&Report::Running);
                let (generation, now) = (self.release.generation, timestamp());
                self.status.report_drift(Some(&words), generation, &now);
            }
            Hold::Invalid => {
                if let Err(error) = &self.release.wish {
                    let words = error.to_string();
                    self.report(&Report::Failed {
                        reason: "InvalidSpec",
                        words: &words,
                    });
                }
            }
        }
        self.flush().await?;
        Ok(Verdict::Rests)
    }

    /// The plan has found that the newest revision is ours and as it is wanted. It is not in the status if the agent was
    /// killed after Helm had ended.
    fn note_revision(&mut self, wish: &Wish) {
        let last = self.history.values().next_back().map(|it| it.number);
        let Some(revision) = last.filter(|number| self.status.revision != Some(*number)) else {
            return;
        };
        let (chart, commit) = (wish.chart(), self.release.commit.clone());
        let deployed = Deployed {
            revision,
            chart: &chart,
            chart_digest: None,
            digest: &wish.digest,
            commit: &commit,
            kept: &self.history,
            words: "deployed",
        };
        let generation = self.release.generation;
        self.status
            .report(&Report::Released { deployed }, generation, &timestamp());
    }

    /// What the status says when all is as it is wanted.
    fn settle(&mut self, wish: &Wish) {
        let told = self
            .status
            .condition("Ready")
            .filter(|ready| ready.reason == "Stopped");
        let words = told.map_or_else(|| sizes::told(&[]), |ready| ready.message.clone());
        self.report(&match wish.running {
            Running::Started => Report::Running,
            Running::Stopped => Report::Stopped { words: &words },
        });
    }

    fn report(&mut self, report: &Report<'_>) {
        self.status.report(report, self.release.generation, &timestamp());
    }

    /// Writes the status if it is other than in the cluster.
    async fn flush(&mut self) -> Result<(), ClusterError> {
        self.hand
            .write_status(&self.release.id, &self.written, &self.status)
            .await?;
        self.written.clone_from(&self.status);
        Ok(())
    }

    async fn recover(self) -> Result<Verdict, ClusterError> {
        let id = self.release.id.clone();
        let Some(_permit) = self.permit().await else {
            return Ok(Verdict::BrokenOff);
        };
        tracing::info!(release = %id, "a release that was left pending is recovered");
        match self.hand.engine.recover(id.clone(), &self.stops.any).await {
            Ok(_) => Ok(Verdict::Again),
            Err(EngineError::Cancelled) => Ok(Verdict::BrokenOff),
            Err(error) => {
                tracing::warn!(release = %id, %error, "the release cannot be recovered yet");
                Ok(Verdict::Trouble(error.to_string()))
            }
        }
    }

    /// A place among those that run at once; `None` if it is not waited for any longer.
    async fn permit(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        tokio::select! {
            () = self.stops.any.cancelled() => None,
            // The semaphore is never closed.
            permit = self.hand.permits.acquire() => permit.ok(),
        }
    }

    /// After an operation was broken off: on whose word, and what follows.
    async fn broken_off(&mut self) -> Result<Verdict, ClusterError> {
        if self.stops.shutdown.is_cancelled() || !self.stops.person.is_cancelled() {
            return Ok(Verdict::BrokenOff);
        }
        let id = self.release.id.clone();
        if let Err(error) = self.hand.engine.recover(id.clone(), &self.stops.shutdown).await {
            tracing::warn!(release = %id, %error, "a cancelled release cannot be recovered yet");
        }
        self.report(&Report::Failed {
            reason: CANCELLED,
            words: "cancelled by a person; change the spec, or order a retry",
        });
        self.flush().await?;
        Ok(Verdict::Rests)
    }
}
