//! Who has which role in a project.

use c7n_api::{Member, Role};
use sqlx::Row;

use super::{Store, StoreError, Tx, from_word, word};

impl Store {
    pub async fn members(&self, project: &str) -> Result<Vec<Member>, StoreError> {
        let rows = sqlx::query(
            "SELECT u.username, m.role FROM members m JOIN users u ON u.id = m.user_id \
             WHERE m.project_id = $1 ORDER BY u.username",
        )
        .bind(project)
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Member {
                    username: row.try_get("username")?,
                    role: from_word("role", row.try_get("role")?)?,
                })
            })
            .collect()
    }
}

impl Tx {
    /// False when there is no user of that name.
    pub async fn put_member(
        &mut self,
        project: &str,
        username: &str,
        role: Role,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO members (project_id, user_id, role) SELECT $1, id, $2 FROM users WHERE username = $3 \
             ON CONFLICT (project_id, user_id) DO UPDATE SET role = excluded.role",
        )
        .bind(project)
        .bind(word(role))
        .bind(username)
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// False when they were no member. What they had of their own in its environments goes with them.
    pub async fn remove_member(&mut self, project: &str, username: &str) -> Result<bool, StoreError> {
        sqlx::query(
            "DELETE FROM stream_rights WHERE user_id IN (SELECT id FROM users WHERE username = $2) \
             AND environment_id IN (SELECT id FROM environments WHERE project_id = $1)",
        )
        .bind(project)
        .bind(username)
        .execute(self.connection())
        .await?;
        let done = sqlx::query(
            "DELETE FROM members WHERE project_id = $1 AND user_id IN (SELECT id FROM users WHERE username = $2)",
        )
        .bind(project)
        .bind(username)
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    pub async fn owners(&mut self, project: &str) -> Result<i64, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT COUNT(*) FROM members WHERE project_id = $1 AND role = $2")
                .bind(project)
                .bind(word(Role::Owner))
                .fetch_one(self.connection())
                .await?,
        )
    }
}
