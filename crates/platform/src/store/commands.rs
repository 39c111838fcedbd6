//! Commands: stored before they are sent, each with exactly one end.

use c7n_api::{Command, CommandState, EventChange};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, Tx, from_json, from_word, json, now_ms, word};

impl Store {
    pub async fn command(&self, environment: &str, id: &str) -> Result<Option<Command>, StoreError> {
        let row = sqlx::query("SELECT * FROM commands WHERE environment_id = $1 AND id = $2")
            .bind(environment)
            .bind(id)
            .fetch_optional(self.readers())
            .await?;
        row.as_ref().map(command).transpose()
    }
}

impl Tx {
    pub async fn create_command(&mut self, cluster: &str, command: &Command) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO commands (id, environment_id, cluster_id, command, state, created_by, created_ms, deadline_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&command.id)
        .bind(&command.environment)
        .bind(cluster)
        .bind(json(&command.command)?)
        .bind(word(command.state))
        .bind(&command.created_by)
        .bind(command.created_ms)
        .bind(command.deadline_ms)
        .execute(self.connection())
        .await?;
        self.command_changed(&command.id).await
    }

    /// Gives a pending command its end; false when it has one already. All ends go through here, so there is only one.
    pub async fn finish_command(
        &mut self,
        id: &str,
        state: CommandState,
        message: Option<&str>,
        result: Option<&serde_json::Value>,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE commands SET state = $1, message = $2, result = $3, finished_ms = $4 WHERE id = $5 AND state = $6",
        )
        .bind(word(state))
        .bind(message)
        .bind(result.map(json).transpose()?)
        .bind(now_ms())
        .bind(id)
        .bind(word(CommandState::Pending))
        .execute(self.connection())
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        self.command_changed(id).await?;
        Ok(true)
    }

    /// Pending commands of an environment; there is a limit, so that nobody can fill an agent's queue.
    pub async fn pending_commands(&mut self, environment: &str) -> Result<i64, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT COUNT(*) FROM commands WHERE environment_id = $1 AND state = $2")
                .bind(environment)
                .bind(word(CommandState::Pending))
                .fetch_one(self.connection())
                .await?,
        )
    }

    /// Appends the command as it is now, without its result: that can be big, and is fetched by who asked for it.
    async fn command_changed(&mut self, id: &str) -> Result<(), StoreError> {
        let row = sqlx::query(
            "SELECT c.*, e.project_id FROM commands c JOIN environments e ON e.id = c.environment_id WHERE c.id = $1",
        )
        .bind(id)
        .fetch_optional(self.connection())
        .await?;
        let Some(row) = row else { return Ok(()) };
        let project: String = row.try_get("project_id")?;
        let command = Command {
            result: None,
            ..command(&row)?
        };
        let environment = command.environment.clone();
        self.event(
            Some(&project),
            Some(&environment),
            &EventChange::Command(Box::new(command)),
        )
        .await
    }
}

/// A row of `commands` as the API shows it.
pub(super) fn command(row: &SqliteRow) -> Result<Command, StoreError> {
    Ok(Command {
        id: row.try_get("id")?,
        environment: row.try_get("environment_id")?,
        command: from_json("command", row.try_get::<String, _>("command")?.as_str())?,
        state: from_word("state", row.try_get("state")?)?,
        message: row.try_get("message")?,
        result: row
            .try_get::<Option<String>, _>("result")?
            .map(|result| from_json("result", &result))
            .transpose()?,
        created_by: row.try_get("created_by")?,
        created_ms: row.try_get("created_ms")?,
        deadline_ms: row.try_get("deadline_ms")?,
        finished_ms: row.try_get("finished_ms")?,
    })
}
