//! Brings the schema up to date, one numbered file after the other, each in a transaction.

use std::path::Path;

use sha2::{Digest, Sha256};
use sqlx::{Row, SqlitePool};

use super::{StoreError, now_ms};

const MIGRATIONS: &[(&str, &str)] = &[
    (
        "0001_start",
        include_str!("../../migrations/sqlite/0001_start.sql"),
    ),
    (
        "0002_catalogue",
        include_str!("../../migrations/sqlite/0002_catalogue.sql"),
    ),
    (
        "0003_agents",
        include_str!("../../migrations/sqlite/0003_agents.sql"),
    ),
    (
        "0004_instances",
        include_str!("../../migrations/sqlite/0004_instances.sql"),
    ),
    (
        "0005_drift",
        include_str!("../../migrations/sqlite/0005_drift.sql"),
    ),
    (
        "0006_streams",
        include_str!("../../migrations/sqlite/0006_streams.sql"),
    ),
];

pub(super) async fn migrate(writer: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS schema_migrations \
         (name TEXT PRIMARY KEY, digest TEXT NOT NULL, applied_ms BIGINT NOT NULL)",
    )
    .execute(writer)
    .await?;
    let rows = sqlx::query("SELECT name, digest FROM schema_migrations ORDER BY name")
        .fetch_all(writer)
        .await?;
    for (at, row) in rows.iter().enumerate() {
        let (name, digest): (String, String) = (row.try_get("name")?, row.try_get("digest")?);
        let next = match MIGRATIONS.get(at) {
            Some((known, sql)) if *known == name && digest_of(sql) == digest => continue,
            Some(_) => "start the version that made it, or begin with another data folder",
            None => "start a version that is at least as new as the one that ran last",
        };
        return Err(StoreError::Version {
            path: path.to_owned(),
            found: name,
            next,
        });
    }
    for (name, sql) in &MIGRATIONS[rows.len()..] {
        let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(*sql).execute(&mut *tx).await?;
        sqlx::query("INSERT INTO schema_migrations (name, digest, applied_ms) VALUES ($1, $2, $3)")
            .bind(name)
            .bind(digest_of(sql))
            .bind(now_ms())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        tracing::info!(migration = name, "database schema brought up to date");
    }
    Ok(())
}

fn digest_of(sql: &str) -> String {
    hex(&Sha256::digest(sql.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
