//! What is known of a cluster at the moment when the platform stops looking after it.

use c7n_api::LeftBehind;
use sqlx::Row;

use super::{StoreError, Tx, count};

impl Tx {
    pub async fn is_connected(&mut self, cluster: &str) -> Result<bool, StoreError> {
        let connected: Option<i64> = sqlx::query_scalar("SELECT connected FROM clusters WHERE id = $1")
            .bind(cluster)
            .fetch_optional(self.connection())
            .await?;
        Ok(connected == Some(1))
    }

    /// Ids of the cluster's environments by name, each with what the cluster keeps of it.
    pub async fn left_behind(&mut self, cluster: &str) -> Result<Vec<(String, LeftBehind)>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.id, e.name, e.namespace, c.name AS cluster, c.last_seen_ms, \
             (SELECT COUNT(*) FROM object_states s WHERE s.environment_id = e.id AND s.managed) AS objects \
             FROM environments e JOIN clusters c ON c.id = e.cluster_id WHERE e.cluster_id = $1 ORDER BY e.name, e.id",
        )
        .bind(cluster)
        .fetch_all(self.connection())
        .await?;
        rows.iter()
            .map(|row| {
                let left = LeftBehind {
                    environment: row.try_get("name")?,
                    cluster: row.try_get("cluster")?,
                    namespace: row.try_get("namespace")?,
                    objects: count(row.try_get("objects")?),
                    last_seen_ms: row.try_get("last_seen_ms")?,
                };
                Ok((row.try_get("id")?, left))
            })
            .collect()
    }
}
