//! What agents report of the delivery of a commit.

use c7n_api::{CommitState, Delivery, EnvironmentError, ErrorSource, EventChange, HeldDeletions};
use sqlx::Row;

use super::{StoreError, Tx, from_word, history, json, word};
use crate::environments::reported;

/// A report, already in the words of the API.
pub struct NewDelivery<'a> {
    pub environment: &'a str,
    pub delivery: &'a Delivery,
    /// Where `agent-sync` is; `None` before it was ever moved.
    pub agent_sync: Option<&'a str>,
    pub held: Option<&'a HeldDeletions>,
    pub failed_objects: u32,
    pub errors: &'a [EnvironmentError],
    /// Of the pass as a whole.
    pub message: Option<&'a str>,
}

impl Tx {
    /// The commit's own state, and, if it is the one that is wanted, the environment's.
    pub async fn put_delivery(&mut self, new: &NewDelivery<'_>) -> Result<(), StoreError> {
        let wanted: Option<Option<String>> =
            sqlx::query_scalar("SELECT parsed_commit FROM environments WHERE id = $1")
                .bind(new.environment)
                .fetch_optional(self.connection())
                .await?;
        let Some(wanted) = wanted else { return Ok(()) };
        let commit = new.delivery.commit.as_str();
        let is_wanted = wanted.as_deref() == Some(commit);
        // A commit that was wanted twice has two entries; the later one is meant.
        let known: Option<(String, String)> = sqlx::query_as(
            "SELECT id, state FROM commits WHERE environment_id = $1 AND commit_id = $2 ORDER BY id DESC LIMIT 1",
        )
        .bind(new.environment)
        .bind(commit)
        .fetch_optional(self.connection())
        .await?;
        let row = match known {
            Some((id, before)) => {
                let before: CommitState = from_word("state", before)?;
                let state = reported(before, commit, wanted.as_deref(), new.agent_sync);
                sqlx::query("UPDATE commits SET delivery = $1, state = $2 WHERE id = $3 RETURNING *")
                    .bind(json(new.delivery)?)
                    .bind(word(state))
                    .bind(id)
                    .fetch_optional(self.connection())
                    .await?
            }
            None => None,
        };
        self.put_drifts(new.environment, new.delivery).await?;
        if is_wanted {
            self.replace_delivery_errors(new).await?;
            sqlx::query("UPDATE environments SET held = $1, failed_objects = $2, message = $3 WHERE id = $4")
                .bind(new.held.map(json).transpose()?)
                .bind(i64::from(new.failed_objects))
                .bind(new.message)
                .bind(new.environment)
                .execute(self.connection())
                .await?;
        }
        if let Some(agent_sync) = new.agent_sync {
            sqlx::query("UPDATE environments SET applied_commit = $1 WHERE id = $2")
                .bind(agent_sync)
                .bind(new.environment)
                .execute(self.connection())
                .await?;
        }
        if let Some(row) = row {
            let entry = history::entry(&row)?;
            let project: String = sqlx::query("SELECT project_id FROM environments WHERE id = $1")
                .bind(new.environment)
                .fetch_one(self.connection())
                .await?
                .try_get("project_id")?;
            self.event(
                Some(&project),
                Some(new.environment),
                &EventChange::History(Box::new(entry)),
            )
            .await?;
        }
        self.environment_changed(new.environment).await
    }

    /// What parsing has found already is not told twice.
    async fn replace_delivery_errors(&mut self, new: &NewDelivery<'_>) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM environment_errors WHERE environment_id = $1 AND source = $2")
            .bind(new.environment)
            .bind(word(ErrorSource::Delivery))
            .execute(self.connection())
            .await?;
        for error in new.errors {
            let known: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM environment_errors WHERE environment_id = $1 AND file = $2 AND line = $3 AND code = $4",
            )
            .bind(new.environment)
            .bind(&error.file)
            .bind(i64::from(error.line))
            .bind(&error.code)
            .fetch_one(self.connection())
            .await?;
            if known == 0 {
                self.add_error(new.environment, error).await?;
            }
        }
        Ok(())
    }
}
