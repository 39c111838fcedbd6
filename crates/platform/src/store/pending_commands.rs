//! Commands as the sessions of agents look for them.

use c7n_api::NewCommand;
use sqlx::Row;

use super::{Store, StoreError, from_json, now_ms};

/// A command that has no end yet.
#[derive(Debug, Clone)]
pub struct PendingCommand {
    pub id: String,
    pub environment_id: String,
    pub namespace: String,
    pub command: NewCommand,
    pub created_ms: i64,
    pub deadline_ms: i64,
}

impl Store {
    pub async fn waiting_commands(&self, cluster: &str) -> Result<Vec<PendingCommand>, StoreError> {
        let rows = sqlx::query(
            "SELECT c.id, c.environment_id, e.namespace, c.command, c.created_ms, c.deadline_ms \
             FROM commands c JOIN environments e ON e.id = c.environment_id \
             WHERE c.cluster_id = $1 AND c.state = 'pending' ORDER BY c.id",
        )
        .bind(cluster)
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(PendingCommand {
                    id: row.try_get("id")?,
                    environment_id: row.try_get("environment_id")?,
                    namespace: row.try_get("namespace")?,
                    command: from_json("command", row.try_get::<String, _>("command")?.as_str())?,
                    created_ms: row.try_get("created_ms")?,
                    deadline_ms: row.try_get("deadline_ms")?,
                })
            })
            .collect()
    }

    /// Commands that were cancelled and that an agent could still carry out, had it got them before.
    pub async fn cancelled_commands(&self, cluster: &str) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT id FROM commands WHERE cluster_id = $1 AND state = 'cancelled' AND deadline_ms >= $2 ORDER BY id",
        )
        .bind(cluster)
        .bind(now_ms())
        .fetch_all(self.readers())
        .await?)
    }

    /// Commands whose deadline is over and that have no end, each with its cluster.
    pub async fn overdue_commands(&self) -> Result<Vec<(String, String)>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT id, cluster_id FROM commands WHERE state = 'pending' AND deadline_ms < $1 ORDER BY id",
        )
        .bind(now_ms())
        .fetch_all(self.readers())
        .await?)
    }
}
