//! What the platform is told of an environment as a whole. Pure.

use c7n_git::GitError;
use c7n_link::messages::{DeliveryReport, EnvironmentPhase, EnvironmentStatus, Outcome};

use super::id::EnvironmentId;

/// So many refusals in a row are more than a platform that is not done yet.
const PATIENT: u32 = 6;

/// Gathers what the lanes of an environment have to say.
#[derive(Debug)]
pub struct Status {
    environment_id: String,
    public_key: String,
    tags_checked: bool,
    prepare: Option<String>,
    fetch: Option<String>,
    fetch_refusals: u32,
    tags: Option<String>,
    told: Option<EnvironmentStatus>,
}

impl Status {
    pub fn new(id: &EnvironmentId) -> Self {
        Self {
            environment_id: id.as_str().to_owned(),
            public_key: String::new(),
            tags_checked: false,
            prepare: None,
            fetch: None,
            fetch_refusals: 0,
            tags: None,
            told: None,
        }
    }

    pub fn public_key(&mut self, line: &str) {
        self.public_key = line.trim().to_owned();
    }

    pub fn prepared(&mut self, outcome: Result<(), String>) {
        self.prepare = outcome.err();
    }

    pub fn fetched(&mut self, outcome: Result<(), &GitError>) {
        match outcome {
            Ok(()) => {
                self.fetch = None;
                self.fetch_refusals = 0;
            }
            Err(error) if not_yet(error) => {
                self.fetch_refusals = self.fetch_refusals.saturating_add(1);
                self.fetch = (self.tags_checked || self.fetch_refusals > PATIENT).then(|| error.to_string());
            }
            Err(error) => self.fetch = Some(error.to_string()),
        }
    }

    pub fn tags(&mut self, outcome: Result<(), &GitError>) {
        match outcome {
            Ok(()) => {
                self.tags_checked = true;
                self.tags = None;
            }
            Err(error) => self.tags = Some(format!("the tags of the repository cannot be moved: {error}")),
        }
    }

    /// What to say now, if it is something else than what was said last.
    pub fn news(&mut self) -> Option<EnvironmentStatus> {
        let message = [&self.prepare, &self.fetch, &self.tags]
            .into_iter()
            .flatten()
            .next();
        let phase = match (self.tags_checked, message) {
            // An environment that was ready stays so: what it has delivered lives, and the message tells the rest.
            (true, _) if self.prepare.is_none() => EnvironmentPhase::Ready,
            (_, Some(_)) => EnvironmentPhase::Failed,
            (_, None) => EnvironmentPhase::Preparing,
        };
        let now = EnvironmentStatus {
            environment_id: self.environment_id.clone(),
            phase: phase.into(),
            public_key: self.public_key.clone(),
            tags_checked: self.tags_checked,
            message: message.cloned().unwrap_or_default(),
        };
        // The first word carries the key; without it the platform can do nothing.
        if self.public_key.is_empty() && message.is_none() || self.told.as_ref() == Some(&now) {
            return None;
        }
        self.told = Some(now.clone());
        Some(now)
    }

    /// Says everything again, for instance because the platform seems not to know the key.
    pub fn forget_told(&mut self) {
        self.told = None;
    }

    pub fn removed(&self) -> EnvironmentStatus {
        let environment_id = self.environment_id.clone();
        EnvironmentStatus {
            environment_id,
            phase: EnvironmentPhase::Removed.into(),
            ..EnvironmentStatus::default()
        }
    }

    pub fn removing(&self, obstacle: &str) -> EnvironmentStatus {
        EnvironmentStatus {
            environment_id: self.environment_id.clone(),
            phase: EnvironmentPhase::Failed.into(),
            public_key: self.public_key.clone(),
            tags_checked: self.tags_checked,
            message: format!("the environment is not removed yet: {obstacle}"),
        }
    }
}

/// The host does not know the key or the repository: so it is while the platform makes them.
pub fn not_yet(error: &GitError) -> bool {
    matches!(
        error,
        GitError::AuthRefused { .. } | GitError::RepositoryMissing { .. }
    )
}

/// Whether a report says something that the last one of this environment did not. A pass that found everything as it
/// was must not write over what the platform keeps of the delivery, and one that failed or waits as before says nothing
/// new.
pub fn is_news(before: Option<&DeliveryReport>, now: &DeliveryReport) -> bool {
    let Some(before) = before else { return true };
    let same_subject = (
        &before.commit,
        before.generation,
        &before.message,
        &before.held,
        &before.file_errors,
    ) == (
        &now.commit,
        now.generation,
        &now.message,
        &now.held,
        &now.file_errors,
    );
    let quiet = now
        .objects
        .iter()
        .all(|object| object.outcome() == Outcome::Unchanged);
    let was_good = before.objects.iter().all(|object| {
        matches!(
            object.outcome(),
            Outcome::Applied | Outcome::Unchanged | Outcome::Pruned
        )
    });
    !(same_subject && (before.objects == now.objects || quiet && was_good))
}

#[cfg(test)]
mod tests {
    use c7n_link::messages::{ObjectKey, ObjectResult};

    use super::*;

    fn status() -> Status {
        Status::new(&EnvironmentId::new("e1").unwrap())
    }

    fn refused() -> GitError {
        GitError::AuthRefused { host: "h".into() }
    }

    fn phase(status: &mut Status) -> Option<(EnvironmentPhase, String)> {
        status.news().map(|news| (news.phase(), news.message))
    }

    #[test]
    fn the_first_word_is_the_key_and_nothing_is_said_twice() {
        let mut status = status();
        assert_eq!(status.news(), None);
        status.public_key("ssh-ed25519 AAAA\n");
        assert_eq!(status.news().unwrap().public_key, "ssh-ed25519 AAAA");
        assert_eq!(status.news(), None);
        status.forget_told();
        assert!(status.news().is_some());
    }

    #[test]
    fn a_key_that_is_about_to_be_registered_is_no_failure() {
        let mut status = status();
        status.public_key("k");
        status.news();
        (0..PATIENT).for_each(|_| status.fetched(Err(&refused())));
        assert_eq!(phase(&mut status), None);

        status.fetched(Err(&refused()));
        let (failed, message) = phase(&mut status).unwrap();
        assert_eq!(failed, EnvironmentPhase::Failed);
        assert!(message.contains("register"), "{message}");

        status.fetched(Ok(()));
        status.tags(Ok(()));
        assert_eq!(phase(&mut status), Some((EnvironmentPhase::Ready, String::new())));
    }

    #[test]
    fn an_environment_that_was_ready_stays_so_while_its_host_is_away() {
        let mut status = status();
        status.public_key("k");
        status.tags(Ok(()));
        status.news();
        status.fetched(Err(&GitError::Unreachable {
            host: "h".into(),
            detail: "refused".into(),
        }));
        let (phase, message) = phase(&mut status).unwrap();
        assert_eq!(phase, EnvironmentPhase::Ready);
        assert!(message.contains("cannot be reached"), "{message}");
    }

    fn report(commit: &str, outcomes: &[Outcome]) -> DeliveryReport {
        let object = |outcome: &Outcome| {
            let key = ObjectKey {
                kind: "Service".into(),
                ..ObjectKey::default()
            };
            ObjectResult {
                key,
                outcome: (*outcome).into(),
                ..ObjectResult::default()
            }
        };
        let objects = outcomes.iter().map(object).collect();
        DeliveryReport {
            commit: commit.into(),
            objects,
            ..DeliveryReport::default()
        }
    }

    #[test]
    fn a_pass_that_changed_nothing_is_not_told_again() {
        let applied = report("a", &[Outcome::Applied, Outcome::Applied]);
        let quiet = report("a", &[Outcome::Unchanged, Outcome::Unchanged]);
        assert!(is_news(None, &quiet));
        assert!(!is_news(Some(&applied), &quiet));
        assert!(
            is_news(Some(&applied), &report("b", &[Outcome::Unchanged])),
            "another commit"
        );
        assert!(
            is_news(Some(&quiet), &report("a", &[Outcome::Applied])),
            "a repair"
        );
        assert!(
            is_news(Some(&report("a", &[Outcome::Failed])), &quiet),
            "what failed is well again"
        );
        let waits = report("a", &[Outcome::Applied, Outcome::Held]);
        assert!(!is_news(Some(&waits), &waits), "held as before");
    }
}
