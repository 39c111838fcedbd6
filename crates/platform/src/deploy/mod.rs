//! What is deployed by a call: each operation becomes a commit in the environment's repository, and goes from there the way
//! of every push.
//!
//! In: an [`Operation`], somebody who was found to have the right to push, an environment. Out: [`Deployed`], with the commit
//! or with what it would be. A plan is made from the head of the branch ([`Snapshot`]) as edits of files; the edits are read
//! back and judged as intake would judge them ([`preview`]); the commit is made by compare-and-swap against that head, and
//! when somebody was quicker all of it is done again. Files that people wrote keep their comments and their order.
//! Never: an object of the cluster is touched, an agent is waited for.

mod delete;
mod error;
mod files;
mod instance;
mod plan;
mod preview;
mod release;
mod roll_back;
mod run_state;
mod snapshot;
mod upgrade;
mod values;

use std::time::Duration;

use c7n_api::{Deployed, InstanceRevision, Mode, Unwritten};
use c7n_git::{CommitId, GitError, NewCommit, Signature};

use crate::access::git::Pushed;
use crate::catalogue::ChartFacts;
use crate::instances::detail;
use crate::repositories::Repositories;
use crate::store::{AppCharts, IntakeRow, Store, now_ms};

pub use error::DeployError;
pub use files::{PutFile, RemoveFile, list_files, read_file};
pub use instance::Deploy;
use plan::Plan;
use preview::Preview;
use release::Release;
pub use release::check_repository;
pub use roll_back::{RollBack, Target};
pub use run_state::RunState;
use snapshot::Snapshot;
pub use upgrade::Upgrade;

/// Somebody else may push at any moment; who loses this often in a row is told to try again.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(15);

/// What is to be done.
pub enum Operation {
    Deploy(Deploy),
    Upgrade(Upgrade),
    RollBack(RollBack),
    SetRunState { instance: String, to: RunState },
    Delete { instance: String },
    PutFile(PutFile),
    RemoveFile(RemoveFile),
}

/// Who does it and where.
pub struct Scene<'a> {
    pub username: &'a str,
    /// As the audit log names them.
    pub actor: String,
    pub project_id: &'a str,
    pub environment_id: &'a str,
    pub environment: &'a str,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Deployer {
    store: Store,
    repositories: Repositories,
    facts: ChartFacts,
    pushed: Pushed,
}

impl Deployer {
    pub fn new(store: Store, repositories: Repositories, facts: ChartFacts, pushed: Pushed) -> Self {
        Self {
            store,
            repositories,
            facts,
            pushed,
        }
    }

    pub async fn carry_out(
        &self,
        scene: &Scene<'_>,
        operation: &Operation,
        mode: Mode,
    ) -> Result<Deployed, DeployError> {
        let row = self
            .store
            .intake_row(scene.environment_id)
            .await?
            .ok_or(DeployError::Removing)?;
        let mut tries = 0;
        loop {
            match self.attempt(scene, &row, operation, mode).await {
                Err(DeployError::Git(GitError::RefChanged { .. } | GitError::Locked { .. })) => {
                    tries += 1;
                    if tries == TRIES {
                        return Err(DeployError::Crowded);
                    }
                    tokio::time::sleep(PAUSE * tries).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt(
        &self,
        scene: &Scene<'_>,
        row: &IntakeRow,
        operation: &Operation,
        mode: Mode,
    ) -> Result<Deployed, DeployError> {
        let snapshot = self.snapshot(row).await?;
        let plan = match operation {
            Operation::Deploy(deploy) => deploy.plan(&snapshot, &self.facts, scene.project_id).await?,
            Operation::Upgrade(upgrade) => upgrade.plan(&snapshot, &self.facts, scene.project_id).await?,
            Operation::RollBack(roll_back) => {
                let revisions = self.revisions(scene, roll_back).await?;
                roll_back.plan(&snapshot, &revisions)?
            }
            Operation::SetRunState { instance, to } => run_state::plan(&snapshot, instance, *to)?,
            Operation::Delete { instance } => delete::plan(&snapshot, instance)?,
            Operation::PutFile(put) => put.plan(&snapshot)?,
            Operation::RemoveFile(remove) => remove.plan(&snapshot)?,
        };
        let kinds = self.store.cluster_kinds(&row.cluster_id).await?;
        let preview = Preview::of(&snapshot, &plan, row, &kinds)?;
        let unwritten = if !plan.conflicts.is_empty() && !plan.conflicts_accepted {
            Some(Unwritten::Conflicts)
        } else if preview.diff.is_empty() {
            Some(Unwritten::NothingToChange)
        } else if mode == Mode::DryRun {
            Some(Unwritten::DryRun)
        } else {
            None
        };
        let commit = match unwritten {
            Some(_) => None,
            None => Some(self.commit(scene, row, &snapshot, &plan).await?.to_string()),
        };
        Ok(Deployed {
            commit,
            unwritten,
            instance: plan.instance,
            chart: plan.chart,
            version: plan.version,
            file: plan.file,
            changes: preview.changes,
            diff: preview.diff,
            conflicts: plan.conflicts,
        })
    }

    /// What the agent has told of the instance's revisions, where that is asked for.
    async fn revisions(
        &self,
        scene: &Scene<'_>,
        roll_back: &RollBack,
    ) -> Result<Vec<InstanceRevision>, DeployError> {
        let Target::Revision(_) = roll_back.to else {
            return Ok(Vec::new());
        };
        let objects = self.store.all_objects(scene.environment_id).await?;
        // Which application it is made of does not matter here.
        let found = detail(&objects, &roll_back.instance, &AppCharts::default());
        Ok(found.map(|found| found.instance.revisions).unwrap_or_default())
    }

    async fn commit(
        &self,
        scene: &Scene<'_>,
        row: &IntakeRow,
        snapshot: &Snapshot,
        plan: &Plan,
    ) -> Result<CommitId, DeployError> {
        let (repository, expected) = (snapshot.repository.clone(), snapshot.head);
        let reference = format!("refs/heads/{}", row.branch);
        let (edits, message) = (plan.edits.clone(), plan.message.clone());
        let author = signature(scene.username);
        let commit = blocking(move || {
            repository.commit(&NewCommit {
                reference: &reference,
                expected,
                edits: &edits,
                author: &author,
                committer: &Signature {
                    time_ms: author.time_ms,
                    ..signature("c7n")
                },
                message: &message,
            })
        })
        .await?;
        // The commit is made, and nothing takes it back: from here on nothing fails but the log.
        (self.pushed)(&row.id);
        tracing::info!(environment = %row.id, actor = %scene.actor, %commit, "committed");
        let what = format!("environment/{}@{commit}: {}", scene.environment, plan.message);
        if let Err(error) = self.audit(scene, plan.verb, &what).await {
            tracing::error!(%error, what, actor = %scene.actor, "a commit is missing in the audit log");
        }
        Ok(commit)
    }

    async fn audit(
        &self,
        scene: &Scene<'_>,
        verb: &'static str,
        what: &str,
    ) -> Result<(), crate::store::StoreError> {
        let mut tx = self.store.write().await?;
        tx.audit(&scene.actor, verb, what, Some(scene.project_id)).await?;
        tx.commit().await
    }

    async fn snapshot(&self, row: &IntakeRow) -> Result<Snapshot, DeployError> {
        let (path, branch) = (self.repositories.path(&row.id), row.branch.clone());
        Ok(blocking(move || Snapshot::read(&path, &branch)).await?)
    }

    /// The instances that an environment's newest commit makes of this version of a chart, delivered or not.
    pub async fn instances_of(
        &self,
        environment_id: &str,
        repo_url: &str,
        chart: &str,
        version: &str,
    ) -> Result<Vec<String>, DeployError> {
        let Some(row) = self.store.intake_row(environment_id).await? else {
            return Ok(Vec::new());
        };
        let snapshot = self.snapshot(&row).await?;
        let is_it = |release: &Release<'_>| {
            release.chart_name() == chart
                && release.chart_version() == version
                && release.repo_url().trim_end_matches('/') == repo_url
        };
        let found = Release::all(&snapshot).filter(is_it);
        Ok(found.map(|release| release.name().to_owned()).collect())
    }

    /// The file at the head of the branch, or all of them.
    pub async fn files(
        &self,
        environment_id: &str,
        path: Option<String>,
    ) -> Result<Vec<c7n_api::RepositoryFile>, DeployError> {
        let row = self.store.intake_row(environment_id).await?;
        let row = row.ok_or(DeployError::Removing)?;
        let (repository, branch) = (self.repositories.path(&row.id), row.branch);
        Ok(blocking(move || match path {
            Some(path) => Ok(read_file(&repository, &branch, &path)?.into_iter().collect()),
            None => list_files(&repository, &branch),
        })
        .await?)
    }
}

/// The platform knows no addresses of people; `.invalid` (RFC 2606) is nobody's.
fn signature(username: &str) -> Signature {
    Signature {
        name: username.to_owned(),
        email: format!("{username}@users.c7n.invalid"),
        time_ms: now_ms(),
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
