//! Public keys: those of users, and those that agents made for their environments.

use c7n_api::{Caller, SshKey};
use sqlx::Row;

use super::{Store, StoreError, Tx, users};

/// Whose key it is.
#[derive(Debug, Clone)]
pub enum KeyOwner {
    User(Caller),
    /// The agent, for this one environment.
    Agent {
        environment: String,
        cluster: String,
    },
}

impl Store {
    pub async fn ssh_keys(&self, user: &str) -> Result<Vec<SshKey>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, title, fingerprint, created_ms FROM ssh_keys WHERE user_id = $1 ORDER BY id",
        )
        .bind(user)
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(SshKey {
                    id: row.try_get("id")?,
                    title: row.try_get("title")?,
                    fingerprint: row.try_get("fingerprint")?,
                    created_ms: row.try_get("created_ms")?,
                })
            })
            .collect()
    }

    /// Users come first: an agent that claims a user's key gains nothing and takes nothing away.
    pub async fn key_owner(&self, fingerprint: &str) -> Result<Option<KeyOwner>, StoreError> {
        let user = sqlx::query(
            "SELECT u.id, u.username, u.administrator FROM ssh_keys k JOIN users u ON u.id = k.user_id \
             WHERE k.fingerprint = $1",
        )
        .bind(fingerprint)
        .fetch_optional(self.readers())
        .await?;
        if let Some(row) = user {
            return Ok(Some(KeyOwner::User(users::caller(&row)?)));
        }
        let agent: Option<(String, String)> =
            sqlx::query_as("SELECT id, cluster_id FROM environments WHERE agent_fingerprint = $1 LIMIT 1")
                .bind(fingerprint)
                .fetch_optional(self.readers())
                .await?;
        Ok(agent.map(|(environment, cluster)| KeyOwner::Agent { environment, cluster }))
    }
}

impl Tx {
    pub async fn create_ssh_key(
        &mut self,
        user: &str,
        key: &SshKey,
        public_key: &str,
    ) -> Result<(), StoreError> {
        // A user who registered an agent's key would stand in the agent's way.
        let agents: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM environments WHERE agent_fingerprint = $1")
                .bind(&key.fingerprint)
                .fetch_one(self.connection())
                .await?;
        if agents > 0 {
            return Err(StoreError::Exists("this key"));
        }
        sqlx::query(
            "INSERT INTO ssh_keys (id, user_id, title, public_key, fingerprint, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&key.id)
        .bind(user)
        .bind(&key.title)
        .bind(public_key)
        .bind(&key.fingerprint)
        .bind(key.created_ms)
        .execute(self.connection())
        .await
        .map_err(|e| StoreError::from(e).or_exists("this key"))?;
        Ok(())
    }

    /// False when the user has no such key.
    pub async fn delete_ssh_key(&mut self, user: &str, id: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM ssh_keys WHERE id = $1 AND user_id = $2")
            .bind(id)
            .bind(user)
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected() > 0)
    }
}
