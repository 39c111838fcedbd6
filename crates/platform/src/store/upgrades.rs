//! Orders to agents to upgrade themselves: stored before they are sent, each with exactly one end.

use c7n_api::{AgentUpgrade, CommandState};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::sessions::Whose;
use super::{Store, StoreError, Tx, from_word, now_ms, word};

/// An order that has no end yet.
#[derive(Debug, Clone)]
pub struct PendingUpgrade {
    pub id: String,
    pub image: String,
    pub patience_ms: i64,
    pub created_ms: i64,
    pub deadline_ms: i64,
}

impl Store {
    pub async fn newest_upgrade(&self, cluster: &str) -> Result<Option<AgentUpgrade>, StoreError> {
        let row = sqlx::query("SELECT * FROM agent_upgrades WHERE cluster_id = $1 ORDER BY id DESC LIMIT 1")
            .bind(cluster)
            .fetch_optional(self.readers())
            .await?;
        row.as_ref().map(upgrade).transpose()
    }

    pub async fn waiting_upgrade(&self, cluster: &str) -> Result<Option<PendingUpgrade>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM agent_upgrades WHERE cluster_id = $1 AND state = 'pending' ORDER BY id LIMIT 1",
        )
        .bind(cluster)
        .fetch_optional(self.readers())
        .await?;
        row.map(|row| {
            Ok(PendingUpgrade {
                id: row.try_get("id")?,
                image: row.try_get("image")?,
                patience_ms: row.try_get("patience_ms")?,
                created_ms: row.try_get("created_ms")?,
                deadline_ms: row.try_get("deadline_ms")?,
            })
        })
        .transpose()
    }

    /// Whether the agent of the last session can do this.
    pub async fn agent_can(&self, cluster: &str, feature: &str) -> Result<bool, StoreError> {
        let features: Option<String> =
            sqlx::query_scalar("SELECT agent_features FROM clusters WHERE id = $1")
                .bind(cluster)
                .fetch_optional(self.readers())
                .await?;
        let features: Vec<String> = super::from_json("agent_features", features.as_deref().unwrap_or("[]"))?;
        Ok(features.iter().any(|known| known == feature))
    }

    /// Orders whose deadline is over and that have no end.
    pub async fn overdue_upgrades(&self) -> Result<Vec<String>, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT id FROM agent_upgrades WHERE state = 'pending' AND deadline_ms < $1")
                .bind(now_ms())
                .fetch_all(self.readers())
                .await?,
        )
    }
}

impl Tx {
    /// False when another one of this cluster has no end yet.
    pub async fn create_upgrade(
        &mut self,
        upgrade: &AgentUpgrade,
        patience_ms: i64,
    ) -> Result<bool, StoreError> {
        let made = sqlx::query(
            "INSERT INTO agent_upgrades (id, cluster_id, image, state, created_by, created_ms, patience_ms, deadline_ms) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
             WHERE NOT EXISTS (SELECT 1 FROM agent_upgrades WHERE cluster_id = $2 AND state = 'pending')",
        )
        .bind(&upgrade.id)
        .bind(&upgrade.cluster)
        .bind(&upgrade.image)
        .bind(word(upgrade.state))
        .bind(&upgrade.created_by)
        .bind(upgrade.created_ms)
        .bind(patience_ms)
        .bind(upgrade.deadline_ms)
        .execute(self.connection())
        .await?;
        Ok(made.rows_affected() > 0)
    }

    /// Gives it its end; false when it has one already.
    pub async fn finish_upgrade(
        &mut self,
        id: &str,
        state: CommandState,
        message: Option<&str>,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE agent_upgrades SET state = $1, message = $2, finished_ms = $3 WHERE id = $4 AND state = 'pending'",
        )
        .bind(word(state))
        .bind(message)
        .bind(now_ms())
        .bind(id)
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    pub async fn whose_upgrade(&mut self, cluster: &str, upgrade: &str) -> Result<Whose, StoreError> {
        let owner: Option<String> = sqlx::query_scalar("SELECT cluster_id FROM agent_upgrades WHERE id = $1")
            .bind(upgrade)
            .fetch_optional(self.connection())
            .await?;
        Ok(Whose::of(owner.as_deref(), cluster))
    }
}

fn upgrade(row: &SqliteRow) -> Result<AgentUpgrade, StoreError> {
    Ok(AgentUpgrade {
        id: row.try_get("id")?,
        cluster: row.try_get("cluster_id")?,
        image: row.try_get("image")?,
        state: from_word("state", row.try_get("state")?)?,
        message: row.try_get("message")?,
        created_by: row.try_get("created_by")?,
        created_ms: row.try_get("created_ms")?,
        deadline_ms: row.try_get("deadline_ms")?,
        finished_ms: row.try_get("finished_ms")?,
    })
}
