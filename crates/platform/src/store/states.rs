//! Object states as agents report them.

use std::collections::BTreeMap;

use bytes::Bytes;
use c7n_api::{EventChange, LiveObject};
use c7n_link::digest::{DigestTable, KindKey};
use sqlx::Row;

use super::{Store, StoreError, Tx, json, now_ms, word};

/// An object's state, and the digest under which the agent knows it.
pub struct NewState<'a> {
    pub object: &'a LiveObject,
    pub resource_version: &'a str,
    pub digest: &'a [u8],
}

/// What a batch has changed in one environment.
#[derive(Default)]
pub struct StateChanges {
    pub changed: Vec<LiveObject>,
    pub gone: Vec<String>,
    /// The counts by health are other than before.
    pub health: HealthChange,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub enum HealthChange {
    #[default]
    Same,
    Different,
}

impl Store {
    /// Digests of everything that is stored of a cluster.
    pub async fn state_digests(&self, cluster: &str) -> Result<DigestTable, StoreError> {
        let rows = sqlx::query(
            "SELECT s.environment_id, s.api_group, s.kind, s.namespace, s.name, s.digest \
             FROM object_states s JOIN environments e ON e.id = s.environment_id WHERE e.cluster_id = $1",
        )
        .bind(cluster)
        .fetch_all(self.readers())
        .await?;
        let mut table = DigestTable::default();
        for row in rows {
            let key = KindKey {
                environment_id: row.try_get("environment_id")?,
                group: row.try_get("api_group")?,
                kind: row.try_get("kind")?,
            };
            let (namespace, name): (String, String) = (row.try_get("namespace")?, row.try_get("name")?);
            let digest: Vec<u8> = row.try_get("digest")?;
            table.insert(&key, &namespace, &name, &digest);
        }
        Ok(table)
    }
}

impl Tx {
    /// Digests of the objects of one kind, by namespace and name.
    pub async fn kind_digests(
        &mut self,
        set: &KindKey,
    ) -> Result<BTreeMap<(String, String), Bytes>, StoreError> {
        let rows = sqlx::query(
            "SELECT namespace, name, digest FROM object_states \
             WHERE environment_id = $1 AND api_group = $2 AND kind = $3",
        )
        .bind(&set.environment_id)
        .bind(&set.group)
        .bind(&set.kind)
        .fetch_all(self.connection())
        .await?;
        rows.iter()
            .map(|row| {
                let digest: Vec<u8> = row.try_get("digest")?;
                Ok(((row.try_get("namespace")?, row.try_get("name")?), digest.into()))
            })
            .collect()
    }

    pub async fn put_state(
        &mut self,
        environment: &str,
        new: &NewState<'_>,
        changes: &mut StateChanges,
    ) -> Result<(), StoreError> {
        let object = new.object;
        let namespace = object.namespace.as_deref().unwrap_or_default();
        let before: Option<(String, String)> = sqlx::query_as(
            "SELECT uid, health FROM object_states WHERE environment_id = $1 AND api_group = $2 AND kind = $3 \
             AND namespace = $4 AND name = $5",
        )
        .bind(environment)
        .bind(&object.group)
        .bind(&object.kind)
        .bind(namespace)
        .bind(&object.name)
        .fetch_optional(self.connection())
        .await?;
        let health = word(object.health);
        if before.as_ref().is_none_or(|(_, before)| *before != health) {
            changes.health = HealthChange::Different;
        }
        if let Some((uid, _)) = before.filter(|(uid, _)| *uid != object.uid) {
            // Another object of the same name: the one before is gone.
            changes.gone.push(uid);
        }
        sqlx::query(
            "INSERT INTO object_states (environment_id, api_group, kind, namespace, name, version, uid, resource_version, \
             health, message, summary, owners, managed, file, commit_id, digest, created_ms, seen_ms, release_name, cause) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) \
             ON CONFLICT (environment_id, api_group, kind, namespace, name) DO UPDATE SET version = excluded.version, \
             uid = excluded.uid, resource_version = excluded.resource_version, health = excluded.health, \
             message = excluded.message, summary = excluded.summary, owners = excluded.owners, managed = excluded.managed, \
             file = excluded.file, commit_id = excluded.commit_id, digest = excluded.digest, \
             created_ms = excluded.created_ms, seen_ms = excluded.seen_ms, release_name = excluded.release_name, \
             cause = excluded.cause",
        )
        .bind(environment)
        .bind(&object.group)
        .bind(&object.kind)
        .bind(namespace)
        .bind(&object.name)
        .bind(&object.version)
        .bind(&object.uid)
        .bind(new.resource_version)
        .bind(health)
        .bind(&object.message)
        .bind(json(&object.summary)?)
        .bind(json(&object.owners)?)
        .bind(i64::from(object.managed))
        .bind(&object.file)
        .bind(&object.commit)
        .bind(new.digest)
        .bind(object.created_ms)
        .bind(object.seen_ms)
        .bind(&object.release)
        .bind(&object.cause)
        .execute(self.connection())
        .await?;
        changes.changed.push(object.clone());
        Ok(())
    }

    pub async fn drop_state(
        &mut self,
        environment: &str,
        key: &c7n_link::messages::ObjectKey,
        changes: &mut StateChanges,
    ) -> Result<(), StoreError> {
        let gone: Option<String> = sqlx::query_scalar(
            "DELETE FROM object_states WHERE environment_id = $1 AND api_group = $2 AND kind = $3 \
             AND namespace = $4 AND name = $5 RETURNING uid",
        )
        .bind(environment)
        .bind(&key.group)
        .bind(&key.kind)
        .bind(&key.namespace)
        .bind(&key.name)
        .fetch_optional(self.connection())
        .await?;
        if let Some(uid) = gone {
            changes.gone.push(uid);
            changes.health = HealthChange::Different;
        }
        Ok(())
    }

    /// One event for the whole batch, and one more if the environment's counts have changed.
    pub async fn states_changed(
        &mut self,
        environment: &str,
        changes: StateChanges,
    ) -> Result<(), StoreError> {
        if changes.changed.is_empty() && changes.gone.is_empty() {
            return Ok(());
        }
        let project: Option<String> = sqlx::query_scalar("SELECT project_id FROM environments WHERE id = $1")
            .bind(environment)
            .fetch_optional(self.connection())
            .await?;
        let change = EventChange::Objects {
            changed: changes.changed,
            gone: changes.gone,
        };
        self.event(project.as_deref(), Some(environment), &change).await?;
        if changes.health == HealthChange::Different {
            self.environment_changed(environment).await?;
        }
        Ok(())
    }

    pub async fn seen(&mut self, cluster: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE clusters SET last_seen_ms = $1 WHERE id = $2")
            .bind(now_ms())
            .bind(cluster)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
