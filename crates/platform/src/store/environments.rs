//! Environments: the rows behind one namespace and one repository.

use std::collections::HashMap;

use c7n_api::{
    Commits, Environment, EnvironmentPhase, EventChange, HealthCounts, HealthStatus, HeldDeletions,
    Repository,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::clusters::const_sql;
use super::{Addresses, Store, StoreError, Tx, count, from_json, from_word, now_ms, word};
use crate::environments::Standing;

const VIEW: &str = "SELECT e.*, p.name AS project, c.name AS cluster, c.connected, c.last_seen_ms \
     FROM environments e JOIN projects p ON p.id = e.project_id JOIN clusters c ON c.id = e.cluster_id ";
/// Events tell what happened and have no health of their own.
const HEALTH: &str = "SELECT environment_id, health, COUNT(*) AS objects FROM object_states ";

/// What the platform itself needs to know of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentRow {
    pub id: String,
    pub project_id: String,
    pub cluster_id: String,
    pub removal: Option<Removal>,
}

#[derive(Debug, Clone)]
pub struct NewEnvironmentRow {
    pub id: String,
    pub project_id: String,
    pub cluster_id: String,
    pub name: String,
    pub namespace: String,
    pub branch: String,
}

/// What was asked for when an environment is being removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    KeepNamespace,
    DeleteNamespace,
}

impl Removal {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeepNamespace => "keep-namespace",
            Self::DeleteNamespace => "delete-namespace",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::KeepNamespace, Self::DeleteNamespace]
            .into_iter()
            .find(|r| r.as_str() == text)
    }
}

impl Store {
    /// The environments of the project with this id.
    pub async fn environments(&self, project: &str) -> Result<Vec<Environment>, StoreError> {
        let sql = const_sql(VIEW, "WHERE e.project_id = $1 ORDER BY e.name");
        let rows = sqlx::query(sql).bind(project).fetch_all(self.readers()).await?;
        let sql = const_sql(
            HEALTH,
            "WHERE kind <> 'Event' AND environment_id IN (SELECT id FROM environments WHERE project_id = $1) \
             GROUP BY environment_id, health",
        );
        let counts = sqlx::query(sql).bind(project).fetch_all(self.readers()).await?;
        let mut health: HashMap<String, HealthCounts> = HashMap::new();
        for row in &counts {
            add_health(health.entry(row.try_get("environment_id")?).or_default(), row)?;
        }
        let addresses = self.addresses();
        rows.iter()
            .map(|row| {
                let id: String = row.try_get("id")?;
                environment(row, &addresses, health.remove(&id).unwrap_or_default())
            })
            .collect()
    }

    /// By id or name, in the project of this id.
    pub async fn environment(&self, project: &str, name: &str) -> Result<Option<Environment>, StoreError> {
        let id: Option<String> = sqlx::query_scalar(
            "SELECT id FROM environments WHERE project_id = $1 AND (id = $2 OR name = $2)",
        )
        .bind(project)
        .bind(name)
        .fetch_optional(self.readers())
        .await?;
        let Some(id) = id else { return Ok(None) };
        let mut connection = self.readers().acquire().await?;
        let found = view(&mut connection, &self.addresses(), &id).await?;
        Ok(found.map(|(_, environment)| environment))
    }

    /// By id alone; for the platform's own use, after somebody else has decided who may see it.
    pub async fn environment_row(&self, id: &str) -> Result<Option<EnvironmentRow>, StoreError> {
        let row = sqlx::query(const_sql(ROW, "WHERE e.id = $1"))
            .bind(id)
            .fetch_optional(self.readers())
            .await?;
        row.as_ref().map(environment_row).transpose()
    }

    /// By the names in the path of a repository.
    pub async fn environment_of_repository(
        &self,
        project: &str,
        environment: &str,
    ) -> Result<Option<EnvironmentRow>, StoreError> {
        let row = sqlx::query(const_sql(ROW, "WHERE p.name = $1 AND e.name = $2"))
            .bind(project)
            .bind(environment)
            .fetch_optional(self.readers())
            .await?;
        row.as_ref().map(environment_row).transpose()
    }

    /// The ids of all environments that have a repository.
    pub async fn environment_ids(&self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT id FROM environments ORDER BY id")
            .fetch_all(self.readers())
            .await?)
    }
}

const ROW: &str = "SELECT e.id, e.project_id, e.cluster_id, e.removal \
     FROM environments e JOIN projects p ON p.id = e.project_id ";

fn environment_row(row: &SqliteRow) -> Result<EnvironmentRow, StoreError> {
    Ok(EnvironmentRow {
        id: row.try_get("id")?,
        project_id: row.try_get("project_id")?,
        cluster_id: row.try_get("cluster_id")?,
        removal: row
            .try_get::<Option<String>, _>("removal")?
            .as_deref()
            .and_then(Removal::parse),
    })
}

impl Tx {
    pub async fn create_environment(&mut self, new: &NewEnvironmentRow) -> Result<(), StoreError> {
        let taken: Option<String> =
            sqlx::query_scalar("SELECT name FROM environments WHERE cluster_id = $1 AND namespace = $2")
                .bind(&new.cluster_id)
                .bind(&new.namespace)
                .fetch_optional(self.connection())
                .await?;
        if taken.is_some() {
            return Err(StoreError::Exists(
                "an environment with this namespace on this cluster",
            ));
        }
        sqlx::query(
            "INSERT INTO environments (id, project_id, cluster_id, name, namespace, branch, phase, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&new.id)
        .bind(&new.project_id)
        .bind(&new.cluster_id)
        .bind(&new.name)
        .bind(&new.namespace)
        .bind(&new.branch)
        .bind(word(EnvironmentPhase::Preparing))
        .bind(now_ms())
        .execute(self.connection())
        .await
        .map_err(|e| StoreError::from(e).or_exists("an environment of this name"))?;
        Ok(())
    }

    /// True when no agent of its cluster has ever opened a session.
    pub async fn never_connected(&mut self, environment: &str) -> Result<bool, StoreError> {
        let epoch: Option<i64> = sqlx::query_scalar(
            "SELECT c.epoch FROM environments e JOIN clusters c ON c.id = e.cluster_id WHERE e.id = $1",
        )
        .bind(environment)
        .fetch_optional(self.connection())
        .await?;
        Ok(epoch == Some(0))
    }

    /// Marks it for removal; what was asked for last counts.
    pub async fn ask_removal(&mut self, environment: &str, removal: Removal) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE environments SET removal = $1, phase = $2, message = NULL, generation = generation + 1 \
             WHERE id = $3",
        )
        .bind(removal.as_str())
        .bind(word(EnvironmentPhase::Removing))
        .bind(environment)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Removes the row and everything that belongs to it, and tells the readers. Its repository is the caller's to remove.
    pub async fn delete_environment(&mut self, environment: &str) -> Result<(), StoreError> {
        let project: Option<String> =
            sqlx::query_scalar("DELETE FROM environments WHERE id = $1 RETURNING project_id")
                .bind(environment)
                .fetch_optional(self.connection())
                .await?;
        let Some(project) = project else { return Ok(()) };
        let gone = EventChange::EnvironmentDeleted {
            id: environment.to_owned(),
        };
        self.event(Some(&project), Some(environment), &gone).await
    }

    /// Takes the deletions held at `commit` as confirmed. False when nothing is held at that commit.
    pub async fn confirm_deletions(&mut self, environment: &str, commit: &str) -> Result<bool, StoreError> {
        let held: Option<Option<String>> = sqlx::query_scalar("SELECT held FROM environments WHERE id = $1")
            .bind(environment)
            .fetch_optional(self.connection())
            .await?;
        let Some(held) = held.flatten() else {
            return Ok(false);
        };
        let held: c7n_api::HeldDeletions = from_json("held", &held)?;
        if held.commit != commit {
            return Ok(false);
        }
        sqlx::query(
            "UPDATE environments SET confirmed_commit = $1, generation = generation + 1 WHERE id = $2",
        )
        .bind(commit)
        .bind(environment)
        .execute(self.connection())
        .await?;
        Ok(true)
    }
}

/// The environment with this id and the id of its project.
pub(super) async fn view(
    connection: &mut SqliteConnection,
    addresses: &Addresses,
    id: &str,
) -> Result<Option<(String, Environment)>, StoreError> {
    let row = sqlx::query(const_sql(VIEW, "WHERE e.id = $1"))
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let sql = const_sql(
        HEALTH,
        "WHERE kind <> 'Event' AND environment_id = $1 GROUP BY environment_id, health",
    );
    let counts = sqlx::query(sql).bind(id).fetch_all(&mut *connection).await?;
    let mut health = HealthCounts::default();
    for count in &counts {
        add_health(&mut health, count)?;
    }
    Ok(Some((
        row.try_get("project_id")?,
        environment(&row, addresses, health)?,
    )))
}

fn add_health(counts: &mut HealthCounts, row: &SqliteRow) -> Result<(), StoreError> {
    let objects = count(row.try_get("objects")?);
    match from_word("health", row.try_get("health")?)? {
        HealthStatus::Healthy => counts.healthy += objects,
        HealthStatus::Progressing => counts.progressing += objects,
        // Git wants it and the cluster does not have it: for a person that is as bad.
        HealthStatus::Degraded | HealthStatus::Missing => counts.degraded += objects,
        HealthStatus::Suspended => counts.suspended += objects,
        HealthStatus::Unknown => counts.unknown += objects,
    }
    Ok(())
}

fn environment(
    row: &SqliteRow,
    addresses: &Addresses,
    health: HealthCounts,
) -> Result<Environment, StoreError> {
    let project: String = row.try_get("project")?;
    let name: String = row.try_get("name")?;
    let commits = Commits {
        newest: row.try_get("newest_commit")?,
        parsed: row.try_get("parsed_commit")?,
        applied: row.try_get("applied_commit")?,
    };
    let held: Option<HeldDeletions> = row
        .try_get::<Option<String>, _>("held")?
        .map(|held| from_json("held", &held))
        .transpose()?;
    let file_errors = count(row.try_get("file_errors")?);
    let failed_objects = count(row.try_get("failed_objects")?);
    let standing = Standing {
        commits: &commits,
        file_errors,
        failed_objects,
        held: held.as_ref(),
    };
    let converged = standing.is_converged();
    Ok(Environment {
        id: row.try_get("id")?,
        cluster: row.try_get("cluster")?,
        namespace: row.try_get("namespace")?,
        phase: from_word("phase", row.try_get("phase")?)?,
        message: row.try_get("message")?,
        repository: Repository {
            ssh_url: format!("{}/{project}/{name}.git", addresses.ssh),
            http_url: format!("{}/git/{project}/{name}.git", addresses.http),
            branch: row.try_get("branch")?,
        },
        converged,
        commits,
        file_errors,
        failed_objects,
        held,
        health,
        stale: row.try_get::<i64, _>("connected")? == 0,
        last_seen_ms: row.try_get("last_seen_ms")?,
        created_ms: row.try_get("created_ms")?,
        project,
        name,
    })
}
