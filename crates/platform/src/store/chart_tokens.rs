//! Tokens with which programs read the charts of one project: only their hashes are here.

use c7n_api::Token;
use sqlx::Row;

use super::tokens::{USED_STEP_MS, token};
use super::{Store, StoreError, Tx, now_ms};

impl Store {
    /// The id of the project whose charts this token reads. Unknown and expired tokens are one and the same: none.
    pub async fn project_of_chart_token(&self, token_hash: &str) -> Result<Option<String>, StoreError> {
        let now = now_ms();
        let row = sqlx::query(
            "SELECT id, project_id, last_used_ms FROM chart_tokens \
             WHERE token_hash = $1 AND (expires_ms IS NULL OR expires_ms > $2)",
        )
        .bind(token_hash)
        .bind(now)
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let used: Option<i64> = row.try_get("last_used_ms")?;
        if used.is_none_or(|used| now - used > USED_STEP_MS) {
            let id: String = row.try_get("id")?;
            if let Err(error) = self.touch_chart_token(&id).await {
                tracing::warn!(%error, "the use of a token was not recorded");
            }
        }
        Ok(Some(row.try_get("project_id")?))
    }

    async fn touch_chart_token(&self, id: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE chart_tokens SET last_used_ms = $1 WHERE id = $2")
            .bind(now_ms())
            .bind(id)
            .execute(tx.connection())
            .await?;
        tx.commit().await
    }

    pub async fn chart_tokens(&self, project: &str) -> Result<Vec<Token>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, name, created_ms, expires_ms, last_used_ms FROM chart_tokens WHERE project_id = $1 ORDER BY id",
        )
        .bind(project)
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(token).collect()
    }

    /// Whether a cluster delivers anything of this project: then its agent may read the project's charts.
    pub async fn cluster_serves_project(&self, cluster: &str, project: &str) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM environments WHERE cluster_id = $1 AND project_id = $2 LIMIT 1",
        )
        .bind(cluster)
        .bind(project)
        .fetch_optional(self.readers())
        .await?;
        Ok(found.is_some())
    }
}

impl Tx {
    pub async fn create_chart_token(
        &mut self,
        project: &str,
        token: &Token,
        token_hash: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO chart_tokens (id, project_id, name, token_hash, created_ms, expires_ms) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&token.id)
        .bind(project)
        .bind(&token.name)
        .bind(token_hash)
        .bind(token.created_ms)
        .bind(token.expires_ms)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// False when the project has no such token.
    pub async fn delete_chart_token(&mut self, project: &str, id: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM chart_tokens WHERE id = $1 AND project_id = $2")
            .bind(id)
            .bind(project)
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    pub async fn count_chart_tokens(&mut self, project: &str) -> Result<i64, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT COUNT(*) FROM chart_tokens WHERE project_id = $1")
                .bind(project)
                .fetch_one(self.connection())
                .await?,
        )
    }
}
