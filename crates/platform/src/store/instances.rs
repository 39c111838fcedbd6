//! What was last told of the instances of an environment.

use std::collections::BTreeMap;

use c7n_api::{EventChange, Instance, Vitals};

use sqlx::Row;

use super::{Store, StoreError, Tx, from_json, json};

/// The environment itself stands under this name, which no instance can have.
const ITSELF: &str = "";

#[derive(Default)]
pub struct Told {
    pub instances: BTreeMap<String, Instance>,
    pub environment: Option<Vitals>,
}

/// What is other than what was told.
pub struct InstanceNews {
    pub changed: Vec<Instance>,
    pub gone: Vec<String>,
    pub environment: Option<Vitals>,
}

/// A release in a cluster, and where.
pub struct Deployed {
    pub project_id: String,
    pub environment: String,
    pub instance: String,
}

impl Store {
    /// The releases of this version of a chart that agents have told of, in whatever project.
    pub async fn deployed(
        &self,
        repo_url: &str,
        chart: &str,
        version: &str,
    ) -> Result<Vec<Deployed>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.project_id, e.name AS environment, o.name FROM object_states o JOIN environments e ON e.id = o.environment_id \
             WHERE o.api_group = 'choerodon.io' AND o.kind = 'C7NHelmRelease' \
             AND RTRIM(o.summary ->> 'repository', '/') = $1 AND o.summary ->> 'chart' = $2 AND o.summary ->> 'version' = $3 \
             ORDER BY e.name, o.name",
        )
        .bind(repo_url)
        .bind(chart)
        .bind(version)
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Deployed {
                    project_id: row.try_get("project_id")?,
                    environment: row.try_get("environment")?,
                    instance: row.try_get("name")?,
                })
            })
            .collect()
    }

    pub async fn told_instances(&self, environment: &str) -> Result<Told, StoreError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT name, told FROM instances WHERE environment_id = $1")
                .bind(environment)
                .fetch_all(self.readers())
                .await?;
        let mut told = Told::default();
        for (name, text) in rows {
            // What another version told and this one cannot read is told anew.
            if name == ITSELF {
                told.environment = from_json("told", &text).ok();
            } else if let Ok(instance) = from_json("told", &text) {
                told.instances.insert(name, instance);
            }
        }
        Ok(told)
    }
}

impl Tx {
    /// Remembers it and appends one event. An environment that is gone is no error and no event.
    pub async fn tell_instances(&mut self, environment: &str, news: InstanceNews) -> Result<(), StoreError> {
        let project: Option<String> = sqlx::query_scalar("SELECT project_id FROM environments WHERE id = $1")
            .bind(environment)
            .fetch_optional(self.connection())
            .await?;
        let Some(project) = project else { return Ok(()) };
        for instance in &news.changed {
            self.put_told(environment, &instance.name, &json(instance)?)
                .await?;
        }
        if let Some(vitals) = &news.environment {
            self.put_told(environment, ITSELF, &json(vitals)?).await?;
        }
        for name in &news.gone {
            sqlx::query("DELETE FROM instances WHERE environment_id = $1 AND name = $2")
                .bind(environment)
                .bind(name)
                .execute(self.connection())
                .await?;
        }
        let change = EventChange::Instances {
            changed: news.changed,
            gone: news.gone,
            environment: news.environment,
        };
        self.event(Some(&project), Some(environment), &change).await
    }

    async fn put_told(&mut self, environment: &str, name: &str, told: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO instances (environment_id, name, told) VALUES ($1, $2, $3) \
             ON CONFLICT (environment_id, name) DO UPDATE SET told = excluded.told",
        )
        .bind(environment)
        .bind(name)
        .bind(told)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
