//! Facts about this installation.

use super::{Store, StoreError, new_id};

impl Store {
    /// The id of this installation: made at the first start, the same ever after. Agents know it as `choerodonId`.
    pub async fn installation_id(&self) -> Result<String, StoreError> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO settings (name, value) VALUES ('installation-id', $1) ON CONFLICT (name) DO NOTHING",
        )
        .bind(new_id())
        .execute(tx.connection())
        .await?;
        let id = sqlx::query_scalar("SELECT value FROM settings WHERE name = 'installation-id'")
            .fetch_one(tx.connection())
            .await?;
        tx.commit().await?;
        Ok(id)
    }
}
