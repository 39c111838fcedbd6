//! What streams there were: a part of the audit log.

use c7n_api::{Page, StreamKind, StreamRecord};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::page::page;
use super::{Store, StoreError, Tx, from_json, from_word, json, now_ms, word};

/// A stream that opens.
#[derive(Debug, Clone)]
pub struct StreamRow {
    pub id: String,
    pub project_id: String,
    pub environment_id: String,
    pub environment: String,
    pub user_id: String,
    pub username: String,
    pub kind: StreamKind,
    pub target: String,
    pub container: Option<String>,
    pub command: Vec<String>,
    pub recorded: bool,
}

impl StreamRow {
    /// As the audit log names it.
    pub fn resource(&self) -> String {
        let Self {
            environment,
            id,
            target,
            ..
        } = self;
        format!(
            "environment/{environment}/stream/{id}/{}/{target}",
            word(self.kind)
        )
    }
}

/// How one ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRow {
    pub exit_code: Option<i32>,
    pub reason: String,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Store {
    /// A page, the newest first; `after` is the `next` of the page before, `user` (an id) leaves out those of others.
    pub async fn stream_records(
        &self,
        environment: &str,
        user: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<StreamRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM stream_records WHERE environment_id = $1 AND ($2 IS NULL OR user_id = $2) \
             AND ($3 IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
        )
        .bind(environment)
        .bind(user)
        .bind(after)
        .bind(i64::from(limit) + 1)
        .fetch_all(self.readers())
        .await?;
        page(&rows, limit, record)
    }

    /// The record of this id, and the id of its user.
    pub async fn stream_record(
        &self,
        environment: &str,
        id: &str,
    ) -> Result<Option<(StreamRecord, String)>, StoreError> {
        let row = sqlx::query("SELECT * FROM stream_records WHERE environment_id = $1 AND id = $2")
            .bind(environment)
            .bind(id)
            .fetch_optional(self.readers())
            .await?;
        row.map(|row| Ok((record(&row)?, row.try_get("user_id")?)))
            .transpose()
    }
}

impl Tx {
    pub async fn open_stream_record(&mut self, row: &StreamRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO stream_records (id, project_id, environment_id, environment, user_id, username, kind, \
             target, container, command, opened_ms, recorded) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(&row.id)
        .bind(&row.project_id)
        .bind(&row.environment_id)
        .bind(&row.environment)
        .bind(&row.user_id)
        .bind(&row.username)
        .bind(word(row.kind))
        .bind(&row.target)
        .bind(&row.container)
        .bind(json(&row.command)?)
        .bind(now_ms())
        .bind(i64::from(row.recorded))
        .execute(self.connection())
        .await?;
        let actor = format!("user:{}", row.username);
        self.audit(&actor, "stream.open", &row.resource(), Some(&row.project_id))
            .await
    }

    pub async fn end_stream_record(&mut self, row: &StreamRow, ended: &EndedRow) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE stream_records SET ended_ms = $2, exit_code = $3, end_reason = $4, bytes_in = $5, bytes_out = $6 \
             WHERE id = $1",
        )
        .bind(&row.id)
        .bind(now_ms())
        .bind(ended.exit_code.map(i64::from))
        .bind(&ended.reason)
        .bind(i64::try_from(ended.bytes_in).unwrap_or(i64::MAX))
        .bind(i64::try_from(ended.bytes_out).unwrap_or(i64::MAX))
        .execute(self.connection())
        .await?;
        let actor = format!("user:{}", row.username);
        self.audit(&actor, "stream.end", &row.resource(), Some(&row.project_id))
            .await
    }

    /// Those that a platform that ended without a word has left open.
    pub async fn close_stream_records(&mut self, reason: &str) -> Result<(), StoreError> {
        let rows = sqlx::query("SELECT * FROM stream_records WHERE ended_ms IS NULL ORDER BY id")
            .fetch_all(self.connection())
            .await?;
        for row in &rows {
            let kept = StreamRow {
                id: row.try_get("id")?,
                project_id: row.try_get("project_id")?,
                environment_id: row.try_get("environment_id")?,
                environment: row.try_get("environment")?,
                user_id: row.try_get("user_id")?,
                username: row.try_get("username")?,
                kind: from_word("kind", row.try_get("kind")?)?,
                target: row.try_get("target")?,
                container: row.try_get("container")?,
                command: Vec::new(),
                recorded: row.try_get::<i64, _>("recorded")? != 0,
            };
            let ended = EndedRow {
                exit_code: None,
                reason: reason.to_owned(),
                bytes_in: 0,
                bytes_out: 0,
            };
            self.end_stream_record(&kept, &ended).await?;
        }
        Ok(())
    }

    /// Its recording is no longer kept.
    pub async fn forget_recording(&mut self, id: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE stream_records SET recorded = 0 WHERE id = $1")
            .bind(id)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

fn record(row: &SqliteRow) -> Result<StreamRecord, StoreError> {
    let bytes =
        |column| Ok::<_, StoreError>(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or_default());
    Ok(StreamRecord {
        id: row.try_get("id")?,
        kind: from_word("kind", row.try_get("kind")?)?,
        username: row.try_get("username")?,
        environment: row.try_get("environment")?,
        target: row.try_get("target")?,
        container: row.try_get("container")?,
        command: from_json("command", row.try_get::<String, _>("command")?.as_str())?,
        opened_ms: row.try_get("opened_ms")?,
        ended_ms: row.try_get("ended_ms")?,
        exit_code: row
            .try_get::<Option<i64>, _>("exit_code")?
            .and_then(|code| i32::try_from(code).ok()),
        end: row.try_get("end_reason")?,
        bytes_in: bytes("bytes_in")?,
        bytes_out: bytes("bytes_out")?,
        recorded: row.try_get::<i64, _>("recorded")? != 0,
    })
}
