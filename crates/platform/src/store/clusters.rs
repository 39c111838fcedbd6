//! Clusters and the tokens that join them.

use c7n_api::{Cluster, ClusterState, EventChange};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{Store, StoreError, Tx, from_json, new_id, now_ms};
use crate::fleet::versions::support;

/// How long a token that no longer works is remembered.
const REMEMBERED_MS: i64 = 30 * 24 * 60 * 60 * 1000;
const VIEW: &str = "SELECT c.*, p.name AS project FROM clusters c JOIN projects p ON p.id = c.project_id ";

impl Store {
    pub async fn clusters(&self, project: &str) -> Result<Vec<Cluster>, StoreError> {
        let sql = const_sql(VIEW, "WHERE c.project_id = $1 ORDER BY c.name");
        let rows = sqlx::query(sql).bind(project).fetch_all(self.readers()).await?;
        rows.iter().map(cluster).collect()
    }

    /// By id or name, in the project of this id.
    pub async fn cluster(&self, project: &str, name: &str) -> Result<Option<Cluster>, StoreError> {
        let sql = const_sql(VIEW, "WHERE c.project_id = $1 AND (c.id = $2 OR c.name = $2)");
        let row = sqlx::query(sql)
            .bind(project)
            .bind(name)
            .fetch_optional(self.readers())
            .await?;
        row.as_ref().map(cluster).transpose()
    }

    /// The cluster whose agent holds this credential. Activation tokens are no credentials yet.
    pub async fn cluster_of_credential(&self, token_hash: &str) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT cluster_id FROM cluster_credentials WHERE token_hash = $1 AND purpose = 'session' \
             AND (expires_ms IS NULL OR expires_ms > $2)",
        )
        .bind(token_hash)
        .bind(now_ms())
        .fetch_optional(self.readers())
        .await?)
    }
}

impl Tx {
    pub async fn create_cluster(&mut self, id: &str, project: &str, name: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO clusters (id, project_id, name, created_ms) VALUES ($1, $2, $3, $4)")
            .bind(id)
            .bind(project)
            .bind(name)
            .bind(now_ms())
            .execute(self.connection())
            .await
            .map_err(|e| StoreError::from(e).or_exists("a cluster of this name"))?;
        Ok(())
    }

    pub async fn delete_cluster(&mut self, cluster: &str) -> Result<(), StoreError> {
        let project: Option<String> =
            sqlx::query_scalar("DELETE FROM clusters WHERE id = $1 RETURNING project_id")
                .bind(cluster)
                .fetch_optional(self.connection())
                .await?;
        let Some(project) = project else { return Ok(()) };
        self.event(
            Some(&project),
            None,
            &EventChange::ClusterDeleted {
                id: cluster.to_owned(),
            },
        )
        .await
    }

    /// A new activation token; the ones before it no longer work. They are remembered for a while, to tell why.
    pub async fn replace_activation(
        &mut self,
        cluster: &str,
        token_hash: &str,
        expires_ms: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM cluster_credentials WHERE cluster_id = $1 AND purpose = 'activation' AND created_ms < $2",
        )
        .bind(cluster)
        .bind(now_ms() - REMEMBERED_MS)
        .execute(self.connection())
        .await?;
        sqlx::query(
            "UPDATE cluster_credentials SET used_ms = $2, ended = 'replaced' \
             WHERE cluster_id = $1 AND purpose = 'activation' AND used_ms IS NULL",
        )
        .bind(cluster)
        .bind(now_ms())
        .execute(self.connection())
        .await?;
        sqlx::query(
            "INSERT INTO cluster_credentials (id, cluster_id, purpose, token_hash, created_ms, expires_ms) \
             VALUES ($1, $2, 'activation', $3, $4, $5)",
        )
        .bind(new_id())
        .bind(cluster)
        .bind(token_hash)
        .bind(now_ms())
        .bind(expires_ms)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

/// The cluster with this id and the id of its project.
pub(super) async fn view(
    connection: &mut SqliteConnection,
    id: &str,
) -> Result<Option<(String, Cluster)>, StoreError> {
    let row = sqlx::query(const_sql(VIEW, "WHERE c.id = $1"))
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok((row.try_get("project_id")?, cluster(&row)?)))
        .transpose()
}

fn cluster(row: &SqliteRow) -> Result<Cluster, StoreError> {
    let last_seen_ms: Option<i64> = row.try_get("last_seen_ms")?;
    let state = match (row.try_get::<i64, _>("connected")? != 0, last_seen_ms) {
        (true, _) => ClusterState::Running,
        (false, Some(_)) => ClusterState::Disconnected,
        (false, None) => ClusterState::Waiting,
    };
    let agent_version: Option<String> = row.try_get("agent_version")?;
    let agent_support = agent_version
        .as_deref()
        .map(|version| support(version, env!("CARGO_PKG_VERSION")));
    Ok(Cluster {
        id: row.try_get("id")?,
        project: row.try_get("project")?,
        name: row.try_get("name")?,
        state,
        message: row.try_get("message")?,
        kubernetes_version: row.try_get("kubernetes_version")?,
        agent_version,
        agent_support,
        nodes: from_json("nodes", row.try_get::<String, _>("nodes")?.as_str())?,
        created_ms: row.try_get("created_ms")?,
        last_seen_ms,
    })
}

/// Two constant pieces of SQL as one; nothing that a person typed ever comes here.
pub(super) fn const_sql(head: &'static str, tail: &'static str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("{head}{tail}"))
}
