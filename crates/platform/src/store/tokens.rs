//! API tokens: only their hashes are here.

use c7n_api::{Caller, Token};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, Tx, now_ms, users};

/// `last_used_ms` is written at most this often per token: reading the API must not keep the writer busy.
pub(super) const USED_STEP_MS: i64 = 60 * 60 * 1000;

/// Who holds a token.
#[derive(Debug, Clone)]
pub struct TokenOwner {
    pub token_id: String,
    pub caller: Caller,
    /// True when `last_used_ms` is so old that it is worth a write.
    pub worth_touching: bool,
}

impl Store {
    /// Unknown and expired tokens are one and the same: none.
    pub async fn token_owner(&self, token_hash: &str) -> Result<Option<TokenOwner>, StoreError> {
        let now = now_ms();
        let row = sqlx::query(
            "SELECT t.id AS token_id, t.last_used_ms, u.id, u.username, u.administrator \
             FROM api_tokens t JOIN users u ON u.id = t.user_id \
             WHERE t.token_hash = $1 AND (t.expires_ms IS NULL OR t.expires_ms > $2)",
        )
        .bind(token_hash)
        .bind(now)
        .fetch_optional(self.readers())
        .await?;
        row.map(|row| {
            let used: Option<i64> = row.try_get("last_used_ms")?;
            Ok(TokenOwner {
                token_id: row.try_get("token_id")?,
                caller: users::caller(&row)?,
                worth_touching: used.is_none_or(|used| now - used > USED_STEP_MS),
            })
        })
        .transpose()
    }

    pub async fn tokens(&self, user: &str) -> Result<Vec<Token>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, name, created_ms, expires_ms, last_used_ms FROM api_tokens WHERE user_id = $1 ORDER BY id",
        )
        .bind(user)
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(token).collect()
    }

    pub async fn touch_token(&self, id: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE api_tokens SET last_used_ms = $1 WHERE id = $2")
            .bind(now_ms())
            .bind(id)
            .execute(tx.connection())
            .await?;
        tx.commit().await
    }
}

impl Tx {
    pub async fn create_token(
        &mut self,
        user: &str,
        token: &Token,
        token_hash: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO api_tokens (id, user_id, name, token_hash, created_ms, expires_ms) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&token.id)
        .bind(user)
        .bind(&token.name)
        .bind(token_hash)
        .bind(token.created_ms)
        .bind(token.expires_ms)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// False when the user has no such token.
    pub async fn delete_token(&mut self, user: &str, id: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM api_tokens WHERE id = $1 AND user_id = $2")
            .bind(id)
            .bind(user)
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    pub async fn delete_expired_tokens(&mut self, user: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM api_tokens WHERE user_id = $1 AND expires_ms <= $2")
            .bind(user)
            .bind(now_ms())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    pub async fn count_tokens(&mut self, user: &str) -> Result<i64, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT COUNT(*) FROM api_tokens WHERE user_id = $1")
                .bind(user)
                .fetch_one(self.connection())
                .await?,
        )
    }
}

/// A row of API tokens, or of those of a project's charts.
pub(super) fn token(row: &SqliteRow) -> Result<Token, StoreError> {
    Ok(Token {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        created_ms: row.try_get("created_ms")?,
        expires_ms: row.try_get("expires_ms")?,
        last_used_ms: row.try_get("last_used_ms")?,
    })
}
