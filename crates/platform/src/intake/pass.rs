//! One pass over one repository.

use std::sync::Arc;

use c7n_api::{Change, ChangeRecord, CommitInfo, EnvironmentError, ErrorSource};
use c7n_git::{CommitId, DEVOPS_SYNC, GitError, Repository};
use c7n_manifests::{Confinement, Index, Survey, carry_over, compare, survey};

use super::read::Files;
use super::scope::Scopes;
use crate::fleet::Fleet;
use crate::repositories::Repositories;
use crate::store::{IntakeRow, Parsed, Store, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntakeError {
    /// Somebody else is at it for a moment.
    pub fn is_soon_over(&self) -> bool {
        matches!(
            self,
            Self::Git(GitError::Locked { .. } | GitError::RefChanged { .. }) | Self::Store(StoreError::Busy)
        )
    }
}

/// Whether the environment was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    There,
    Gone,
}

/// How messages about the repository begin, so that they are known again when they are true no more.
const ABOUT: &str = "repository: ";

/// What is kept of a repository between two passes.
#[derive(Default)]
pub struct Worker {
    files: Files,
    /// What the database has for `parsed`, so that it need not be read again.
    index: Option<(String, Index)>,
    /// What the cluster offers, and the text that it was read from.
    scopes: (String, Arc<Scopes>),
}

/// What Git says.
struct Heads {
    repository: Repository,
    newest: Option<CommitId>,
    devops_sync: Option<CommitId>,
}

impl Worker {
    /// Bytes of the files that are kept as objects.
    pub fn weight(&self) -> usize {
        self.files.bytes()
    }

    #[cfg(test)]
    pub fn of_weight(bytes: usize) -> Self {
        Self {
            files: Files::of_bytes(bytes),
            ..Self::default()
        }
    }

    pub async fn pass(
        &mut self,
        store: &Store,
        repositories: &Repositories,
        fleet: &Fleet,
        environment: &str,
    ) -> Result<Known, IntakeError> {
        let Some(row) = store.intake_row(environment).await? else {
            return Ok(Known::Gone);
        };
        let outcome = self.follow(store, repositories, fleet, &row).await;
        let trouble = match &outcome {
            Ok(trouble) => trouble.clone(),
            // Where the repository lies is nobody's business but the platform's.
            Err(IntakeError::Git(error)) => Some(
                error
                    .to_string()
                    .replace(&format!("{}/", repositories.folder().display()), ""),
            ),
            Err(IntakeError::Store(_)) => return outcome.map(|_| Known::There),
        };
        tell(store, &row, trouble.map(|trouble| format!("{ABOUT}{trouble}"))).await?;
        outcome.map(|_| Known::There)
    }

    /// Brings `devops-sync` to the newest commit. What keeps it from that, and is no failure, is told in words.
    async fn follow(
        &mut self,
        store: &Store,
        repositories: &Repositories,
        fleet: &Fleet,
        row: &IntakeRow,
    ) -> Result<Option<String>, IntakeError> {
        let (path, branch) = (repositories.path(&row.id), format!("refs/heads/{}", row.branch));
        let heads = blocking(move || {
            let repository = Repository::open(&path)?;
            let newest = repository.resolve(&branch)?;
            let devops_sync = repository.resolve(DEVOPS_SYNC)?;
            Ok(Heads {
                repository,
                newest,
                devops_sync,
            })
        })
        .await?;
        let Some(newest) = heads.newest else {
            // Before the first push there is nothing to miss.
            return Ok(row.parsed_commit.as_ref().map(|_| {
                format!(
                    "the branch {} is gone; nothing is deleted for that, push it again",
                    row.branch
                )
            }));
        };
        if row.parsed_commit.as_deref() != Some(newest.to_string().as_str()) {
            self.take_in(store, row, &heads.repository, newest).await?;
        } else if heads.devops_sync == Some(newest) {
            return Ok(None);
        }
        let (repository, before) = (heads.repository, heads.devops_sync);
        blocking(move || repository.move_tag(DEVOPS_SYNC, before.as_ref(), Some(&newest))).await?;
        fleet.wake(&row.cluster_id, &row.id);
        Ok(None)
    }

    async fn take_in(
        &mut self,
        store: &Store,
        row: &IntakeRow,
        repository: &Repository,
        newest: CommitId,
    ) -> Result<(), IntakeError> {
        let before = match self.index.take() {
            Some((commit, index)) if Some(&commit) == row.parsed_commit.as_ref() => index,
            _ => store.wanted_index(&row.id).await?,
        };
        let kinds = store.cluster_kinds(&row.cluster_id).await?;
        if self.scopes.0 != kinds {
            self.scopes = (kinds.clone(), Arc::new(Scopes::parse(&kinds)));
        }
        let scopes = Arc::clone(&self.scopes.1);
        let mut files = std::mem::take(&mut self.files);
        let (repository, row_of_thread) = (repository.clone(), row.clone());
        let (files, survey, info) = blocking(move || {
            files.move_to(&repository, &newest)?;
            let survey = understand(&files, &row_of_thread, &scopes);
            Ok((files, survey, repository.commit_info(&newest)?))
        })
        .await?;
        self.files = files;
        let commit = newest.to_string();
        let held = survey.held_files();
        let records: Vec<ChangeRecord> = compare(&before, &survey.index, &held)
            .into_iter()
            .map(record)
            .collect();
        let after = carry_over(&before, survey.index, &held);
        let errors: Vec<EnvironmentError> = survey
            .errors
            .into_iter()
            .map(|error| told(error, &commit))
            .collect();
        let info = CommitInfo {
            id: commit.clone(),
            author: info.author,
            email: info.email,
            subject: info.subject,
            time_ms: info.time_ms,
        };
        let parsed = Parsed {
            environment: &row.id,
            commit: &info,
            records: &records,
            errors: &errors,
            before: &before,
            after: &after,
        };
        let mut tx = store.write().await?;
        tx.commit_parsed(&parsed).await?;
        tx.commit().await?;
        tracing::info!(environment = %row.id, %commit, changes = records.len(), errors = errors.len(), "parsed");
        self.index = Some((commit, after));
        Ok(())
    }
}

/// Says it once, and takes it back when it is true no more.
async fn tell(store: &Store, row: &IntakeRow, message: Option<String>) -> Result<(), StoreError> {
    let said = row
        .message
        .as_deref()
        .filter(|message| message.starts_with(ABOUT));
    if said == message.as_deref() {
        return Ok(());
    }
    let mut tx = store.write().await?;
    match (message, said) {
        (Some(message), _) => tx.say_of_repository(&row.id, &message).await?,
        (None, Some(said)) => tx.unsay_of_repository(&row.id, said).await?,
        (None, None) => {}
    }
    tx.commit().await
}

fn understand(files: &Files, row: &IntakeRow, scopes: &Scopes) -> Survey {
    // A kind that cannot be read was refused when the project was made.
    let allowed = row
        .allowed_cluster_kinds
        .iter()
        .filter_map(|kind| kind.parse().ok());
    let confinement = Confinement::to(row.namespace.clone()).allowing(allowed);
    survey(files.outcomes(), &confinement, &|kind| scopes.of(kind))
}

pub(crate) fn record(record: c7n_manifests::Record) -> ChangeRecord {
    ChangeRecord {
        change: match record.change {
            c7n_manifests::Change::Create => Change::Create,
            c7n_manifests::Change::Update => Change::Update,
            c7n_manifests::Change::Delete => Change::Delete,
        },
        group: record.id.group,
        kind: record.id.kind,
        name: record.id.name,
        file: record.file,
    }
}

fn told(error: c7n_manifests::FileError, commit: &str) -> EnvironmentError {
    EnvironmentError {
        source: ErrorSource::Parsing,
        commit: commit.to_owned(),
        file: error.file,
        line: error.line,
        column: Some(error.column),
        code: error.code.to_string(),
        object: error.object,
        message: error.message,
    }
}

/// Git's files are on a disk, which may be slow.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, GitError> + Send + 'static,
) -> Result<T, GitError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // The work does not panic by itself, and nobody aborts it.
        Err(broken) => std::panic::resume_unwind(broken.into_panic()),
    }
}
