//! What a push changes in the database.

use std::collections::BTreeMap;

use c7n_api::{ChangeRecord, CommitInfo, CommitState, EnvironmentError, EventChange};
use c7n_manifests::{Index, Indexed, ObjectId};
use sqlx::Row;

use super::{Store, StoreError, Tx, from_json, history, json, new_id, now_ms, word};

/// What intake must know of an environment.
#[derive(Debug, Clone)]
pub struct IntakeRow {
    pub id: String,
    pub cluster_id: String,
    pub namespace: String,
    pub branch: String,
    pub parsed_commit: Option<String>,
    pub message: Option<String>,
    pub allowed_cluster_kinds: Vec<String>,
}

/// A commit that was parsed.
pub struct Parsed<'a> {
    pub environment: &'a str,
    pub commit: &'a CommitInfo,
    pub records: &'a [ChangeRecord],
    pub errors: &'a [EnvironmentError],
    pub before: &'a Index,
    pub after: &'a Index,
}

impl Store {
    /// `None` when the environment is gone or going.
    pub async fn intake_row(&self, environment: &str) -> Result<Option<IntakeRow>, StoreError> {
        let row = sqlx::query(
            "SELECT e.id, e.cluster_id, e.namespace, e.branch, e.parsed_commit, e.message, p.allowed_cluster_kinds \
             FROM environments e JOIN projects p ON p.id = e.project_id \
             WHERE e.id = $1 AND e.removal IS NULL",
        )
        .bind(environment)
        .fetch_optional(self.readers())
        .await?;
        row.map(|row| {
            Ok(IntakeRow {
                id: row.try_get("id")?,
                cluster_id: row.try_get("cluster_id")?,
                namespace: row.try_get("namespace")?,
                branch: row.try_get("branch")?,
                parsed_commit: row.try_get("parsed_commit")?,
                message: row.try_get("message")?,
                allowed_cluster_kinds: from_json(
                    "allowed_cluster_kinds",
                    row.try_get::<String, _>("allowed_cluster_kinds")?.as_str(),
                )?,
            })
        })
        .transpose()
    }

    /// JSON of the kinds that the cluster offers; `[]` before an agent has told them. Tens of KiB: read when there is need.
    pub async fn cluster_kinds(&self, cluster: &str) -> Result<String, StoreError> {
        let kinds: Option<String> = sqlx::query_scalar("SELECT kinds FROM clusters WHERE id = $1")
            .bind(cluster)
            .fetch_optional(self.readers())
            .await?;
        Ok(kinds.unwrap_or_default())
    }

    /// What the commit that was parsed last wants.
    pub async fn wanted_index(&self, environment: &str) -> Result<Index, StoreError> {
        let rows = sqlx::query(
            "SELECT api_group, kind, namespace, name, file, digest FROM wanted_objects WHERE environment_id = $1",
        )
        .bind(environment)
        .fetch_all(self.readers())
        .await?;
        let mut index = BTreeMap::new();
        for row in rows {
            let namespace: String = row.try_get("namespace")?;
            let id = ObjectId {
                group: row.try_get("api_group")?,
                kind: row.try_get("kind")?,
                namespace: (!namespace.is_empty()).then_some(namespace),
                name: row.try_get("name")?,
            };
            let digest: String = row.try_get("digest")?;
            let digest = digest.parse().map_err(|_| StoreError::Unreadable {
                what: "digest",
                detail: digest,
            })?;
            index.insert(
                id,
                Indexed {
                    digest,
                    file: row.try_get("file")?,
                },
            );
        }
        Ok(index)
    }
}

impl Tx {
    /// The new wish of the environment: its commit, what changed, what is wrong. Everything older is superseded.
    pub async fn commit_parsed(&mut self, parsed: &Parsed<'_>) -> Result<(), StoreError> {
        let superseded = sqlx::query(
            "UPDATE commits SET state = $1 WHERE environment_id = $2 AND state IN ($3, $4) RETURNING *",
        )
        .bind(word(CommitState::Superseded))
        .bind(parsed.environment)
        .bind(word(CommitState::Wanted))
        .bind(word(CommitState::Delivering))
        .fetch_all(self.connection())
        .await?;
        let row = sqlx::query(
            "INSERT INTO commits (id, environment_id, commit_id, author, email, subject, time_ms, parsed_ms, state, records) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *",
        )
        .bind(new_id())
        .bind(parsed.environment)
        .bind(&parsed.commit.id)
        .bind(&parsed.commit.author)
        .bind(&parsed.commit.email)
        .bind(&parsed.commit.subject)
        .bind(parsed.commit.time_ms)
        .bind(now_ms())
        .bind(word(CommitState::Wanted))
        .bind(json(parsed.records)?)
        .fetch_one(self.connection())
        .await?;
        let entry = history::entry(&row)?;
        self.wanted_objects(parsed).await?;
        self.parse_errors(parsed).await?;
        // Why the agent cannot prepare the environment is still true.
        let project: String = sqlx::query_scalar(
            "UPDATE environments SET newest_commit = $1, parsed_commit = $1, generation = generation + 1, \
             file_errors = $2, held = NULL, failed_objects = 0, \
             message = CASE WHEN phase = 'failed' THEN message ELSE NULL END WHERE id = $3 RETURNING project_id",
        )
        .bind(&parsed.commit.id)
        .bind(i64::try_from(parsed.errors.len()).unwrap_or(i64::MAX))
        .bind(parsed.environment)
        .fetch_one(self.connection())
        .await?;
        let superseded = superseded.iter().map(history::entry);
        for entry in superseded.chain([Ok(entry)]) {
            let change = EventChange::History(Box::new(entry?));
            self.event(Some(&project), Some(parsed.environment), &change)
                .await?;
        }
        self.environment_changed(parsed.environment).await
    }

    /// Something about the repository that a person should know, and that does not change what is wanted.
    pub async fn say_of_repository(&mut self, environment: &str, message: &str) -> Result<(), StoreError> {
        let changed = sqlx::query("UPDATE environments SET message = $1 WHERE id = $2 AND message IS NOT $1")
            .bind(message)
            .bind(environment)
            .execute(self.connection())
            .await?;
        if changed.rows_affected() > 0 {
            self.environment_changed(environment).await?;
        }
        Ok(())
    }

    /// Takes back what was said, if nobody has said anything else since.
    pub async fn unsay_of_repository(&mut self, environment: &str, said: &str) -> Result<(), StoreError> {
        let changed = sqlx::query("UPDATE environments SET message = NULL WHERE id = $1 AND message = $2")
            .bind(environment)
            .bind(said)
            .execute(self.connection())
            .await?;
        if changed.rows_affected() > 0 {
            self.environment_changed(environment).await?;
        }
        Ok(())
    }

    /// Only the rows that differ are touched: a push of one file in a thousand writes one row.
    async fn wanted_objects(&mut self, parsed: &Parsed<'_>) -> Result<(), StoreError> {
        for id in parsed.before.keys().filter(|id| !parsed.after.contains_key(id)) {
            sqlx::query(
                "DELETE FROM wanted_objects WHERE environment_id = $1 AND api_group = $2 AND kind = $3 \
                 AND namespace = $4 AND name = $5",
            )
            .bind(parsed.environment)
            .bind(&id.group)
            .bind(&id.kind)
            .bind(id.namespace.as_deref().unwrap_or_default())
            .bind(&id.name)
            .execute(self.connection())
            .await?;
        }
        for (id, now) in parsed
            .after
            .iter()
            .filter(|(id, now)| parsed.before.get(id) != Some(now))
        {
            sqlx::query(
                "INSERT INTO wanted_objects (environment_id, api_group, kind, namespace, name, file, digest) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) \
                 ON CONFLICT (environment_id, api_group, kind, namespace, name) \
                 DO UPDATE SET file = excluded.file, digest = excluded.digest",
            )
            .bind(parsed.environment)
            .bind(&id.group)
            .bind(&id.kind)
            .bind(id.namespace.as_deref().unwrap_or_default())
            .bind(&id.name)
            .bind(&now.file)
            .bind(now.digest.to_string())
            .execute(self.connection())
            .await?;
        }
        Ok(())
    }

    /// The new commit's errors take the place of all older ones, also of those of an older delivery.
    async fn parse_errors(&mut self, parsed: &Parsed<'_>) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM environment_errors WHERE environment_id = $1")
            .bind(parsed.environment)
            .execute(self.connection())
            .await?;
        for error in parsed.errors {
            self.add_error(parsed.environment, error).await?;
        }
        Ok(())
    }

    pub(super) async fn add_error(
        &mut self,
        environment: &str,
        error: &EnvironmentError,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO environment_errors (environment_id, source, commit_id, file, line, col, code, object, message) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(environment)
        .bind(word(error.source))
        .bind(&error.commit)
        .bind(&error.file)
        .bind(i64::from(error.line))
        .bind(error.column.map(i64::from))
        .bind(&error.code)
        .bind(&error.object)
        .bind(&error.message)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
