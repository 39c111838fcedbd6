//! The live state of an environment's objects. Written by `state`, from what agents report.

use c7n_api::{LiveObject, Page};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, from_json, from_word};

impl Store {
    /// A page in the order of group, kind, namespace and name; `after` is the `next` of the page before it.
    pub async fn objects(
        &self,
        environment: &str,
        kind: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<LiveObject>, StoreError> {
        let (group, after_kind, namespace, name) = after.map_or(("", "", "", ""), split_cursor);
        let rows = sqlx::query(
            "SELECT * FROM object_states WHERE environment_id = $1 AND ($2 IS NULL OR kind = $2) \
             AND (api_group, kind, namespace, name) > ($3, $4, $5, $6) \
             ORDER BY api_group, kind, namespace, name LIMIT $7",
        )
        .bind(environment)
        .bind(kind)
        .bind(group)
        .bind(after_kind)
        .bind(namespace)
        .bind(name)
        .bind(i64::from(limit) + 1)
        .fetch_all(self.readers())
        .await?;
        let shown = rows.len().min(limit as usize);
        let items = rows[..shown]
            .iter()
            .map(object)
            .collect::<Result<Vec<LiveObject>, _>>()?;
        let next = items.last().filter(|_| rows.len() > shown).map(cursor);
        Ok(Page { items, next })
    }

    /// All of them at once, without the events of Kubernetes.
    pub async fn all_objects(&self, environment: &str) -> Result<Vec<LiveObject>, StoreError> {
        let rows = sqlx::query("SELECT * FROM object_states WHERE environment_id = $1 AND kind <> 'Event'")
            .bind(environment)
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(object).collect()
    }
}

// None of the four may contain a slash except the name of some RBAC kinds, so the name comes last.
fn cursor(object: &LiveObject) -> String {
    let namespace = object.namespace.as_deref().unwrap_or_default();
    format!("{}/{}/{namespace}/{}", object.group, object.kind, object.name)
}

fn split_cursor(cursor: &str) -> (&str, &str, &str, &str) {
    let mut parts = cursor.splitn(4, '/');
    let mut part = || parts.next().unwrap_or_default();
    (part(), part(), part(), part())
}

/// A row of `object_states` as the API shows it.
pub(super) fn object(row: &SqliteRow) -> Result<LiveObject, StoreError> {
    let namespace: String = row.try_get("namespace")?;
    Ok(LiveObject {
        group: row.try_get("api_group")?,
        version: row.try_get("version")?,
        kind: row.try_get("kind")?,
        namespace: (!namespace.is_empty()).then_some(namespace),
        name: row.try_get("name")?,
        uid: row.try_get("uid")?,
        health: from_word("health", row.try_get("health")?)?,
        message: row.try_get("message")?,
        cause: row.try_get("cause")?,
        release: row.try_get("release_name")?,
        summary: from_json("summary", row.try_get::<String, _>("summary")?.as_str())?,
        owners: from_json("owners", row.try_get::<String, _>("owners")?.as_str())?,
        managed: row.try_get::<i64, _>("managed")? != 0,
        file: row.try_get("file")?,
        commit: row.try_get("commit_id")?,
        created_ms: row.try_get("created_ms")?,
        seen_ms: row.try_get("seen_ms")?,
    })
}
