//! What was pushed to an environment, newest first. Written by intake and by the agent's reports.

use c7n_api::{CommitInfo, HistoryEntry, Page};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::page::page;
use super::{Store, StoreError, from_json, from_word};

impl Store {
    /// A page of the history; `after` is the `next` of the page before it.
    pub async fn history(
        &self,
        environment: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<HistoryEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM commits WHERE environment_id = $1 AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        )
        .bind(environment)
        .bind(after)
        .bind(i64::from(limit) + 1)
        .fetch_all(self.readers())
        .await?;
        page(&rows, limit, entry)
    }
}

/// A row of `commits` as the API shows it.
pub(super) fn entry(row: &SqliteRow) -> Result<HistoryEntry, StoreError> {
    Ok(HistoryEntry {
        commit: CommitInfo {
            id: row.try_get("commit_id")?,
            author: row.try_get("author")?,
            email: row.try_get("email")?,
            subject: row.try_get("subject")?,
            time_ms: row.try_get("time_ms")?,
        },
        state: from_word("state", row.try_get("state")?)?,
        parsed_ms: row.try_get("parsed_ms")?,
        records: from_json("records", row.try_get::<String, _>("records")?.as_str())?,
        delivery: row
            .try_get::<Option<String>, _>("delivery")?
            .map(|delivery| from_json("delivery", &delivery))
            .transpose()?,
    })
}
