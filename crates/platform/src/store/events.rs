//! The stream of changes as rows: read by id, kept for a while, then trimmed.

use sqlx::{QueryBuilder, Row, Sqlite};
use tokio::sync::watch;

use super::{Store, StoreError, Viewer, now_ms};

const KEPT_ROWS: i64 = 20_000;
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// One row, with the change still as the JSON text of an `EventChange`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    pub id: i64,
    pub project: Option<String>,
    pub environment: Option<String>,
    pub time_ms: i64,
    pub change: String,
}

/// Narrows what a viewer may see to what they asked for; ids.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub project: Option<String>,
    pub environment: Option<String>,
}

/// Whether a reader who saw everything up to some id can go on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// All later events are still kept.
    Kept,
    /// Some are gone: the reader reads the lists anew and goes on from `newest`.
    Gone { newest: i64 },
}

impl Store {
    /// Changes whenever an event was committed; the value is the id of the newest.
    pub fn watch_events(&self) -> watch::Receiver<i64> {
        self.inner.newest_event.subscribe()
    }

    /// What a reader who saw everything up to `since` has missed.
    pub async fn events_missed(&self, since: i64) -> Result<Missed, StoreError> {
        let row = sqlx::query("SELECT MIN(id) AS oldest, MAX(id) AS newest FROM events")
            .fetch_one(self.readers())
            .await?;
        let oldest: i64 = row.try_get::<Option<i64>, _>("oldest")?.unwrap_or(1);
        let newest: i64 = row.try_get::<Option<i64>, _>("newest")?.unwrap_or(0);
        // A `since` from the future belongs to a database that is no longer there.
        let kept = since + 1 >= oldest && since <= newest;
        Ok(if kept {
            Missed::Kept
        } else {
            Missed::Gone { newest }
        })
    }

    /// The next events after `since` that this viewer may see, oldest first. What they may see is asked anew each time.
    pub async fn events_after(
        &self,
        since: i64,
        viewer: &Viewer,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<Vec<EventRow>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT id, project_id, environment_id, time_ms, change FROM events WHERE id > ",
        );
        query.push_bind(since);
        viewer.narrow(&mut query, "project_id");
        if let Some(project) = &filter.project {
            query.push(" AND project_id = ").push_bind(project);
        }
        if let Some(environment) = &filter.environment {
            query.push(" AND environment_id = ").push_bind(environment);
        }
        query.push(" ORDER BY id LIMIT ").push_bind(i64::from(limit));
        let rows = query.build().fetch_all(self.readers()).await?;
        rows.iter()
            .map(|row| {
                Ok(EventRow {
                    id: row.try_get("id")?,
                    project: row.try_get("project_id")?,
                    environment: row.try_get("environment_id")?,
                    time_ms: row.try_get("time_ms")?,
                    change: row.try_get("change")?,
                })
            })
            .collect()
    }

    /// Keeps the last 20,000 events of the last 24 hours, and always the newest one: it remembers where the ids are.
    pub async fn trim_events(&self) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "DELETE FROM events WHERE id < (SELECT MAX(id) FROM events) \
             AND (id <= (SELECT MAX(id) FROM events) - $1 OR time_ms < $2)",
        )
        .bind(KEPT_ROWS)
        .bind(now_ms() - KEPT_MS)
        .execute(tx.connection())
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }
}
