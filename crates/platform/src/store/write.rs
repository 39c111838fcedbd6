//! The one way of changing the database.

use c7n_api::EventChange;
use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::{Store, StoreError, apps, clusters, environments, json, now_ms};

/// A transaction that holds the only writer. Dropped without [`Tx::commit`] it changes nothing.
pub struct Tx {
    transaction: Transaction<'static, Sqlite>,
    store: Store,
    newest_event: Option<i64>,
}

impl Store {
    /// Waits for the writer and begins a transaction (`BEGIN IMMEDIATE`: no later step can find the database locked).
    ///
    /// Hold it briefly: every other change of the platform waits. Nothing but queries between this and `commit`.
    pub async fn write(&self) -> Result<Tx, StoreError> {
        let transaction = self.inner.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Tx {
            transaction,
            store: self.clone(),
            newest_event: None,
        })
    }
}

impl Tx {
    /// For queries of one's own: `.execute(tx.connection())`.
    pub fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Appends to the stream of changes. `project` and `environment` are ids; without a project only administrators see it.
    pub async fn event(
        &mut self,
        project: Option<&str>,
        environment: Option<&str>,
        change: &EventChange,
    ) -> Result<(), StoreError> {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO events (project_id, environment_id, time_ms, change) VALUES ($1, $2, $3, $4) RETURNING id",
        )
        .bind(project)
        .bind(environment)
        .bind(now_ms())
        .bind(json(change)?)
        .fetch_one(self.connection())
        .await?;
        self.newest_event = Some(id);
        Ok(())
    }

    /// Appends the environment as it is now in this transaction. An environment that is gone is no error and no event.
    pub async fn environment_changed(&mut self, environment: &str) -> Result<(), StoreError> {
        let addresses = self.store.addresses();
        let Some((project, environment)) =
            environments::view(self.connection(), &addresses, environment).await?
        else {
            return Ok(());
        };
        let id = environment.id.clone();
        self.event(
            Some(&project),
            Some(&id),
            &EventChange::Environment(Box::new(environment)),
        )
        .await
    }

    /// Appends the cluster as it is now in this transaction.
    pub async fn cluster_changed(&mut self, cluster: &str) -> Result<(), StoreError> {
        let Some((project, cluster)) = clusters::view(self.connection(), cluster).await? else {
            return Ok(());
        };
        self.event(Some(&project), None, &EventChange::Cluster(Box::new(cluster)))
            .await
    }

    /// Appends the application as it is now in this transaction.
    pub async fn app_changed(&mut self, app: &str) -> Result<(), StoreError> {
        let addresses = self.store.addresses();
        let Some((project, app)) = apps::view(self.connection(), &addresses, app).await? else {
            return Ok(());
        };
        self.event(Some(&project), None, &EventChange::App(Box::new(app)))
            .await
    }

    /// After this everything is on the disk, and the readers of the stream are awake.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await?;
        if let Some(id) = self.newest_event {
            self.store.inner.newest_event.send_if_modified(|newest| {
                let grew = id > *newest;
                *newest = id.max(*newest);
                grew
            });
        }
        Ok(())
    }
}
