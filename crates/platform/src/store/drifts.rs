//! What others had changed of objects that a repository describes, and was put back.

use c7n_api::{Delivery, Drift, ObjectRef};
use sqlx::Row;

use super::{Store, StoreError, Tx, from_json, json};

/// Of each environment; the older ones are in the delivery reports of its history.
const KEPT: i64 = 100;

impl Store {
    /// The newest first.
    pub async fn drifts(&self, environment: &str) -> Result<Vec<Drift>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM drifts WHERE environment_id = $1 ORDER BY repaired_ms DESC, api_group, kind, name LIMIT $2",
        )
        .bind(environment)
        .bind(KEPT)
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Drift {
                    object: ObjectRef {
                        group: row.try_get("api_group")?,
                        kind: row.try_get("kind")?,
                        name: row.try_get("name")?,
                    },
                    file: row.try_get("file")?,
                    fields: from_json("fields", row.try_get::<String, _>("fields")?.as_str())?,
                    repaired_ms: row.try_get("repaired_ms")?,
                })
            })
            .collect()
    }
}

impl Tx {
    /// A report may be told again, and so may what an earlier attempt had done: the same change is kept once.
    pub(super) async fn put_drifts(
        &mut self,
        environment: &str,
        delivery: &Delivery,
    ) -> Result<(), StoreError> {
        let mut any = false;
        for result in delivery
            .objects
            .iter()
            .filter(|result| !result.drifted.is_empty())
        {
            any = true;
            sqlx::query(
                "INSERT INTO drifts (environment_id, api_group, kind, name, file, fields, repaired_ms) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) \
                 ON CONFLICT (environment_id, api_group, kind, name, fields) DO UPDATE SET \
                 file = excluded.file, repaired_ms = excluded.repaired_ms",
            )
            .bind(environment)
            .bind(&result.group)
            .bind(&result.kind)
            .bind(&result.name)
            .bind(&result.file)
            .bind(json(&result.drifted)?)
            .bind(delivery.finished_ms.unwrap_or(delivery.started_ms))
            .execute(self.connection())
            .await?;
        }
        if any {
            sqlx::query(
                "DELETE FROM drifts WHERE environment_id = $1 AND repaired_ms < (SELECT MIN(repaired_ms) FROM \
                 (SELECT repaired_ms FROM drifts WHERE environment_id = $1 ORDER BY repaired_ms DESC LIMIT $2) AS kept)",
            )
            .bind(environment)
            .bind(KEPT)
            .execute(self.connection())
            .await?;
        }
        Ok(())
    }
}
