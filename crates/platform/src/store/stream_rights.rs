//! Who may open streams in an environment beside their role, and how these are guarded.

use c7n_api::{Caller, Role, StreamRights, StreamSettings, UserStreamRights};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, Tx, count, from_word, now_ms, users};

/// Everything that decides whether somebody may have a stream in an environment, as it is now.
#[derive(Debug, Clone)]
pub struct Standing {
    pub caller: Caller,
    pub role: Option<Role>,
    pub rights: StreamRights,
    pub project_id: String,
    pub cluster_id: String,
    pub settings: StreamSettings,
}

impl Store {
    /// `None` when the token no longer works, or the user or the environment is gone.
    pub async fn stream_standing(
        &self,
        token_hash: &str,
        environment: &str,
    ) -> Result<Option<Standing>, StoreError> {
        let row = sqlx::query(
            "SELECT u.id, u.username, u.administrator, m.role, r.logs, r.exec, \
             e.project_id, e.cluster_id, e.record_exec, e.review_access, e.idle_minutes \
             FROM api_tokens t JOIN users u ON u.id = t.user_id JOIN environments e ON e.id = $2 \
             LEFT JOIN members m ON m.project_id = e.project_id AND m.user_id = u.id \
             LEFT JOIN stream_rights r ON r.environment_id = e.id AND r.user_id = u.id \
             WHERE t.token_hash = $1 AND (t.expires_ms IS NULL OR t.expires_ms > $3)",
        )
        .bind(token_hash)
        .bind(environment)
        .bind(now_ms())
        .fetch_optional(self.readers())
        .await?;
        row.map(|row| {
            let role = row
                .try_get::<Option<String>, _>("role")?
                .map(|r| from_word("role", r))
                .transpose()?;
            Ok(Standing {
                caller: users::caller(&row)?,
                role,
                rights: rights(&row)?,
                project_id: row.try_get("project_id")?,
                cluster_id: row.try_get("cluster_id")?,
                settings: settings(&row)?,
            })
        })
        .transpose()
    }

    /// Those who have any of their own.
    pub async fn stream_rights(&self, environment: &str) -> Result<Vec<UserStreamRights>, StoreError> {
        let rows = sqlx::query(
            "SELECT u.username, r.logs, r.exec FROM stream_rights r JOIN users u ON u.id = r.user_id \
             WHERE r.environment_id = $1 ORDER BY u.username",
        )
        .bind(environment)
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(UserStreamRights {
                    username: row.try_get("username")?,
                    rights: rights(row)?,
                })
            })
            .collect()
    }

    pub async fn stream_settings(&self, environment: &str) -> Result<Option<StreamSettings>, StoreError> {
        let row =
            sqlx::query("SELECT record_exec, review_access, idle_minutes FROM environments WHERE id = $1")
                .bind(environment)
                .fetch_optional(self.readers())
                .await?;
        row.as_ref().map(settings).transpose()
    }
}

impl Tx {
    /// In place of those they had. False when there is no such member in the environment's project.
    pub async fn put_stream_rights(
        &mut self,
        environment: &str,
        username: &str,
        rights: StreamRights,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO stream_rights (environment_id, user_id, logs, exec) \
             SELECT e.id, u.id, $3, $4 FROM environments e JOIN members m ON m.project_id = e.project_id \
             JOIN users u ON u.id = m.user_id WHERE e.id = $1 AND u.username = $2 \
             ON CONFLICT (environment_id, user_id) DO UPDATE SET logs = excluded.logs, exec = excluded.exec",
        )
        .bind(environment)
        .bind(username)
        .bind(rights.logs.map(i64::from))
        .bind(rights.exec.map(i64::from))
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// False when they had none.
    pub async fn delete_stream_rights(
        &mut self,
        environment: &str,
        username: &str,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "DELETE FROM stream_rights WHERE environment_id = $1 \
             AND user_id IN (SELECT id FROM users WHERE username = $2)",
        )
        .bind(environment)
        .bind(username)
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    pub async fn put_stream_settings(
        &mut self,
        environment: &str,
        settings: &StreamSettings,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE environments SET record_exec = $2, review_access = $3, idle_minutes = $4 WHERE id = $1",
        )
        .bind(environment)
        .bind(i64::from(settings.record_exec))
        .bind(i64::from(settings.review_access))
        .bind(i64::from(settings.idle_minutes))
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

fn rights(row: &SqliteRow) -> Result<StreamRights, StoreError> {
    let right = |column| Ok::<_, StoreError>(row.try_get::<Option<i64>, _>(column)?.map(|own| own != 0));
    Ok(StreamRights {
        logs: right("logs")?,
        exec: right("exec")?,
    })
}

fn settings(row: &SqliteRow) -> Result<StreamSettings, StoreError> {
    Ok(StreamSettings {
        record_exec: row.try_get::<i64, _>("record_exec")? != 0,
        review_access: row.try_get::<i64, _>("review_access")? != 0,
        idle_minutes: count(row.try_get("idle_minutes")?),
    })
}
