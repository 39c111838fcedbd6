//! What follows when something has ended that ran beside the actor.

use c7n_git::{AGENT_SYNC, CommitId, DEVOPS_SYNC, Fetched, GitError};
use c7n_link::messages::{DeliveryReport, Outcome, Say, Topic};
use tokio::task::Id;

use super::{Actor, Done, FETCHES_PER_MAINTENANCE, Lane, unless};
use crate::environments::directory::Synced;
use crate::environments::schedule::{Input, PassEnd, SyncEnd, TagRights};
use crate::environments::status::{is_news, not_yet};
use crate::environments::untold::keep_drift;
use crate::environments::world::{Pass, World};

impl<W: World> Actor<W> {
    pub(super) fn ended(&mut self, ended: Result<(Id, Done<W::Delivery>), tokio::task::JoinError>) {
        match ended {
            Ok((task, done)) => {
                self.running.remove(&task);
                self.done(done);
            }
            Err(error) => {
                let lane = self.running.remove(&error.id());
                tracing::error!(environment = %self.id, %error, "a task of the environment broke; it is begun again");
                match lane {
                    Some(Lane::Prepare) => self.step(Input::PrepareFailed),
                    Some(Lane::Fetch) => self.step(Input::FetchFailed),
                    Some(Lane::Pass(commit)) => self.step(Input::Converged {
                        commit,
                        end: PassEnd::Failed,
                    }),
                    Some(Lane::Tags) => self.step(Input::TagsFailed),
                    Some(Lane::Maintenance) | None => {}
                }
            }
        }
    }

    pub(super) fn done(&mut self, done: Done<W::Delivery>) {
        match done {
            Done::Prepared(Ok(ground)) => {
                let local = ground
                    .mirror
                    .repository()
                    .resolve(DEVOPS_SYNC)
                    .unwrap_or_default();
                let tags = if self.folder.knows_tag_rights() {
                    TagRights::Checked
                } else {
                    TagRights::Unchecked
                };
                if tags == TagRights::Checked {
                    self.status.tags(Ok(()));
                }
                self.status.prepared(Ok(()));
                self.ground = Some(ground);
                self.step(Input::Prepared { local, tags });
            }
            Done::Prepared(Err(message)) => {
                tracing::warn!(environment = %self.id, message, "the environment cannot be prepared; it is tried again");
                self.status.prepared(Err(message));
                self.step(Input::PrepareFailed);
            }
            Done::Fetched(ground, outcome) => {
                self.ground = Some(ground);
                self.fetched(outcome);
                self.maintain_sometimes();
            }
            Done::Maintained(outcome) => {
                if let Err(error) = outcome {
                    tracing::warn!(environment = %self.id, %error, "the mirror could not be packed; it grows meanwhile");
                }
            }
            Done::Passed(delivery, pass) => {
                self.delivery = Some(delivery);
                self.passed(pass);
            }
            Done::TagsChecked(Ok(())) => {
                if let Err(cause) = self.folder.remember_tag_rights() {
                    tracing::debug!(environment = %self.id, %cause, "the tag rights will be checked again after a restart");
                }
                self.status.tags(Ok(()));
                self.step(Input::TagsChecked);
            }
            Done::TagMoved(commit, Ok(())) => {
                self.status.tags(Ok(()));
                self.step(Input::TagMoved { commit });
                self.tell_tag(commit);
            }
            Done::TagMoved(commit, Err(GitError::RefChanged { found, .. })) if found == Some(commit) => {
                self.step(Input::TagMoved { commit });
                self.tell_tag(commit);
            }
            Done::TagMoved(_, Err(GitError::RefChanged { found, .. })) => {
                self.step(Input::TagElsewhere { found })
            }
            Done::TagsChecked(Err(error)) | Done::TagMoved(_, Err(error)) => {
                tracing::warn!(environment = %self.id, %error, "the tags of the repository cannot be moved");
                self.status.tags(Err(&error));
                self.step(Input::TagsFailed);
            }
        }
        self.post_status();
    }

    pub(super) fn fetched(&mut self, outcome: Result<Fetched, GitError>) {
        self.status.fetched(outcome.as_ref().map(|_| ()));
        match outcome {
            Ok(fetched) => {
                let at = |reference| fetched.refs.get(reference).copied().flatten();
                self.step(Input::Fetched {
                    parsed: at(DEVOPS_SYNC),
                    applied: at(AGENT_SYNC),
                });
            }
            Err(error) => {
                tracing::debug!(environment = %self.id, %error, "the repository cannot be fetched");
                self.fetch_trouble = error.to_string();
                self.step(if not_yet(&error) {
                    Input::FetchNotYet
                } else {
                    Input::FetchFailed
                });
            }
        }
    }

    /// Fetches leave small packs behind; now and then they are made one.
    pub(super) fn maintain_sometimes(&mut self) {
        self.fetches += 1;
        if let (0, Some(ground)) = (self.fetches % FETCHES_PER_MAINTENANCE, &self.ground) {
            let (shared, mirror, cancel) = (self.shared.clone(), ground.mirror.clone(), self.cancel.clone());
            self.spawn(Lane::Maintenance, async move {
                let _permit = shared.git.acquire().await.ok()?;
                Some(Done::Maintained(unless(&cancel, mirror.maintain()).await?))
            });
        }
    }

    pub(super) fn passed(&mut self, pass: Pass) {
        let Pass { mut report, end } = pass;
        let Ok(commit) = report.commit.parse() else {
            tracing::error!(environment = %self.id, commit = report.commit, "a report names no commit");
            return;
        };
        report.agent_sync = self
            .schedule
            .tagged()
            .map(|tagged| tagged.to_string())
            .unwrap_or_default();
        if report.attempt == 0 {
            let before = self
                .report
                .as_ref()
                .filter(|before| before.commit == report.commit);
            report.attempt = before.map_or(0, |before| before.attempt) + 1;
        }
        if is_news(self.report.as_ref(), &report) {
            let topic = Topic::Delivery {
                environment_id: report.environment_id.clone(),
                commit: report.commit.clone(),
            };
            if let Some(before) = &self.report
                && self.shared.outgoing.is_untold(&topic)
            {
                keep_drift(&mut report, before);
            }
            self.report = Some(report.clone());
            self.shared.outgoing.post(Say::Delivery(report));
        } else if let (Some(told), PassEnd::Failed) = (&mut self.report, end) {
            // Said with whatever is news next.
            told.attempt = report.attempt;
        }
        self.doubt = end == PassEnd::Failed;
        self.step(Input::Converged { commit, end });
    }

    /// The report of the commit is said again, with the tag where it is now.
    pub(super) fn tell_tag(&mut self, commit: CommitId) {
        if let Some(report) = &mut self.report
            && report.commit == commit.to_string()
            && report.agent_sync != report.commit
        {
            report.agent_sync.clone_from(&report.commit);
            self.shared.outgoing.post(Say::Delivery(report.clone()));
        }
    }

    pub(super) fn answer(&mut self, end: SyncEnd) {
        let message = match end {
            SyncEnd::NothingWanted => "nothing was pushed yet".to_owned(),
            SyncEnd::FetchFailed => self.fetch_trouble.clone(),
            SyncEnd::Passed { .. } => self.report.as_ref().map(first_trouble).unwrap_or_default(),
        };
        for waiting in self.waiting.drain(..) {
            // Who asked may have gone.
            let _ = waiting.send(Synced {
                end,
                message: message.clone(),
            });
        }
    }

    pub(super) fn post_status(&mut self) {
        if let Some(news) = self.status.news() {
            self.shared.outgoing.post(Say::EnvironmentStatus(news));
        }
    }
}

/// What a person should look at first.
fn first_trouble(report: &DeliveryReport) -> String {
    if !report.message.is_empty() {
        return report.message.clone();
    }
    let bad = |outcome| matches!(outcome, Outcome::Failed | Outcome::Refused | Outcome::Held);
    let mut objects = report.objects.iter().filter(|object| bad(object.outcome()));
    if let Some(first) = objects.next() {
        let more = objects.count();
        let rest = if more > 0 {
            format!(" (and {more} more)")
        } else {
            String::new()
        };
        return format!("{} {}: {}{rest}", first.key.kind, first.key.name, first.message);
    }
    let error = report.file_errors.first();
    error
        .map(|error| format!("{}:{}: {}", error.file, error.line, error.message))
        .unwrap_or_default()
}
