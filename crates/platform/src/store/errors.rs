//! What is wrong with the files of an environment. Written by intake and by the agent's reports.

use c7n_api::EnvironmentError;
use sqlx::Row;

use super::{Store, StoreError, count, from_word};

/// More than this nobody reads; the count in the environment stays true.
const SHOWN: i64 = 1000;

impl Store {
    pub async fn environment_errors(&self, environment: &str) -> Result<Vec<EnvironmentError>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM environment_errors WHERE environment_id = $1 ORDER BY file, line, col, source, code LIMIT $2",
        )
        .bind(environment)
        .bind(SHOWN)
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(EnvironmentError {
                    source: from_word("source", row.try_get("source")?)?,
                    commit: row.try_get("commit_id")?,
                    file: row.try_get("file")?,
                    line: count(row.try_get("line")?),
                    column: row.try_get::<Option<i64>, _>("col")?.map(count),
                    code: row.try_get("code")?,
                    object: row.try_get("object")?,
                    message: row.try_get("message")?,
                })
            })
            .collect()
    }
}
