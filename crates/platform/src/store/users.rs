//! Users and the hashes of their passwords.

use c7n_api::{Caller, Role};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, Tx, from_word, now_ms};

/// No `Debug`: it holds the hash of a password.
#[derive(Clone)]
pub struct UserRow {
    pub caller: Caller,
    pub password_hash: String,
}

impl Store {
    pub async fn users(&self) -> Result<Vec<Caller>, StoreError> {
        let rows = sqlx::query("SELECT id, username, administrator FROM users ORDER BY username")
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(caller).collect()
    }

    pub async fn user_by_name(&self, username: &str) -> Result<Option<UserRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM users WHERE username = $1")
            .bind(username)
            .fetch_optional(self.readers())
            .await?;
        row.map(|row| {
            Ok(UserRow {
                caller: caller(&row)?,
                password_hash: row.try_get("password_hash")?,
            })
        })
        .transpose()
    }

    /// The user with this id, and their role in the project with this id.
    pub async fn user_in_project(
        &self,
        user: &str,
        project: &str,
    ) -> Result<Option<(Caller, Option<Role>)>, StoreError> {
        let row = sqlx::query(
            "SELECT u.id, u.username, u.administrator, m.role FROM users u \
             LEFT JOIN members m ON m.user_id = u.id AND m.project_id = $1 WHERE u.id = $2",
        )
        .bind(project)
        .bind(user)
        .fetch_optional(self.readers())
        .await?;
        row.map(|row| {
            let role = row
                .try_get::<Option<String>, _>("role")?
                .map(|r| from_word("role", r))
                .transpose()?;
            Ok((caller(&row)?, role))
        })
        .transpose()
    }

    pub async fn has_users(&self) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM users")
            .fetch_one(self.readers())
            .await?
            > 0)
    }
}

impl Tx {
    pub async fn create_user(&mut self, user: &UserRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO users (id, username, password_hash, administrator, created_ms) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&user.caller.id)
        .bind(&user.caller.username)
        .bind(&user.password_hash)
        .bind(i64::from(user.caller.administrator))
        .bind(now_ms())
        .execute(self.connection())
        .await
        .map_err(|e| StoreError::from(e).or_exists("a user of this name"))?;
        Ok(())
    }

    /// False when there is no user of that name.
    pub async fn set_password(&mut self, username: &str, hash: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE users SET password_hash = $1 WHERE username = $2")
            .bind(hash)
            .bind(username)
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected() > 0)
    }
}

pub(super) fn caller(row: &SqliteRow) -> Result<Caller, StoreError> {
    Ok(Caller {
        id: row.try_get("id")?,
        username: row.try_get("username")?,
        administrator: row.try_get::<i64, _>("administrator")? != 0,
    })
}
