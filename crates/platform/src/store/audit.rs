//! Who changed what, and when. Written in the transaction of the change.

use super::{StoreError, Tx, new_id, now_ms};

impl Tx {
    /// `actor` as `user:NAME` or `cluster:ID`; `project` is an id.
    pub async fn audit(
        &mut self,
        actor: &str,
        verb: &'static str,
        resource: &str,
        project: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO audit (id, actor, verb, resource, project_id, time_ms) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(new_id())
        .bind(actor)
        .bind(verb)
        .bind(resource)
        .bind(project)
        .bind(now_ms())
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
