//! The catalogue: applications and their uploaded versions.

use c7n_api::{App, AppVersion, AppVersionDetails, ChartSource, EventChange};
use c7n_charts::{ChartType, Metadata, Version};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::clusters::const_sql;
use super::{Addresses, Store, StoreError, Tx, from_json, json, now_ms};

const VIEW: &str = "SELECT a.*, p.name AS project FROM apps a JOIN projects p ON p.id = a.project_id ";
const VERSION: &str = "SELECT v.version, v.digest, v.size, v.metadata, v.created_by, v.created_ms, \
     v.provenance IS NOT NULL AS signed, a.name AS app \
     FROM app_versions v JOIN apps a ON a.id = v.app_id ";

pub struct NewAppRow<'a> {
    pub id: &'a str,
    pub project_id: &'a str,
    pub name: &'a str,
    pub description: Option<&'a str>,
    pub source: Option<&'a ChartSource>,
    /// Sealed.
    pub password: Option<Vec<u8>>,
}

pub struct NewVersionRow<'a> {
    pub app_id: &'a str,
    pub metadata: &'a Metadata,
    /// Hexadecimal.
    pub digest: &'a str,
    pub size: i64,
    pub values: Option<&'a str>,
    pub schema: Option<&'a str>,
    pub readme: Option<&'a str>,
    pub created_by: &'a str,
}

/// An uploaded version as the chart repository lists it.
pub struct ListedVersion {
    pub metadata: Metadata,
    /// Hexadecimal.
    pub digest: String,
    pub created_ms: i64,
}

impl Store {
    pub async fn apps(&self, project: &str) -> Result<Vec<App>, StoreError> {
        let rows = sqlx::query(const_sql(VIEW, "WHERE a.project_id = $1 ORDER BY a.name"))
            .bind(project)
            .fetch_all(self.readers())
            .await?;
        let mut connection = self.readers().acquire().await?;
        let addresses = self.addresses();
        let mut apps = Vec::with_capacity(rows.len());
        for row in &rows {
            apps.push(app(&mut connection, &addresses, row).await?);
        }
        Ok(apps)
    }

    /// By id or name, in the project of this id.
    pub async fn app(&self, project: &str, name: &str) -> Result<Option<App>, StoreError> {
        let row = sqlx::query(const_sql(
            VIEW,
            "WHERE a.project_id = $1 AND (a.id = $2 OR a.name = $2)",
        ))
        .bind(project)
        .bind(name)
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let mut connection = self.readers().acquire().await?;
        Ok(Some(app(&mut connection, &self.addresses(), &row).await?))
    }

    /// The sealed password for the application's source.
    pub async fn app_password(&self, app: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let found: Option<Option<Vec<u8>>> = sqlx::query_scalar("SELECT password FROM apps WHERE id = $1")
            .bind(app)
            .fetch_optional(self.readers())
            .await?;
        Ok(found.flatten())
    }

    /// Uploaded versions, newest first.
    pub async fn app_versions(&self, app: &str) -> Result<Vec<AppVersion>, StoreError> {
        let rows = sqlx::query(const_sql(VERSION, "WHERE v.app_id = $1"))
            .bind(app)
            .fetch_all(self.readers())
            .await?;
        let mut versions = rows.iter().map(version).collect::<Result<Vec<_>, _>>()?;
        versions.sort_by_cached_key(|version| std::cmp::Reverse(Version::parse(&version.version).ok()));
        Ok(versions)
    }

    pub async fn app_version(
        &self,
        app: &str,
        wanted: &str,
    ) -> Result<Option<AppVersionDetails>, StoreError> {
        let row = sqlx::query(
            "SELECT v.*, v.provenance IS NOT NULL AS signed, a.name AS app FROM app_versions v JOIN apps a ON a.id = v.app_id \
             WHERE v.app_id = $1 AND v.version = $2",
        )
        .bind(app)
        .bind(wanted)
        .fetch_optional(self.readers())
        .await?;
        row.map(|row| {
            Ok(AppVersionDetails {
                version: version(&row)?,
                values: row.try_get("default_values")?,
                schema: row.try_get("values_schema")?,
                readme: row.try_get("readme")?,
            })
        })
        .transpose()
    }

    /// Another number whenever [`Store::listed_versions`] may be another.
    pub async fn charts_revision(&self, project: &str) -> Result<i64, StoreError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT charts_revision FROM projects WHERE id = $1")
            .bind(project)
            .fetch_optional(self.readers())
            .await?;
        Ok(found.unwrap_or_default())
    }

    /// Everything that is uploaded in a project, in the order of its making.
    pub async fn listed_versions(&self, project: &str) -> Result<Vec<ListedVersion>, StoreError> {
        let rows = sqlx::query(
            "SELECT v.metadata, v.digest, v.created_ms FROM app_versions v JOIN apps a ON a.id = v.app_id \
             WHERE a.project_id = $1 ORDER BY v.created_ms, v.app_id, v.version",
        )
        .bind(project)
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ListedVersion {
                    metadata: from_json("metadata", row.try_get::<String, _>("metadata")?.as_str())?,
                    digest: row.try_get("digest")?,
                    created_ms: row.try_get("created_ms")?,
                })
            })
            .collect()
    }

    /// Digest of the archive that the project's repository has under this name.
    pub async fn archive_of(&self, project: &str, file: &str) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT v.digest FROM app_versions v JOIN apps a ON a.id = v.app_id \
             WHERE a.project_id = $1 AND a.name || '-' || v.version || '.tgz' = $2",
        )
        .bind(project)
        .bind(file)
        .fetch_optional(self.readers())
        .await?)
    }

    /// The provenance file of the archive that the project's repository has under this name.
    pub async fn provenance_of(&self, project: &str, file: &str) -> Result<Option<String>, StoreError> {
        let found: Option<Option<String>> = sqlx::query_scalar(
            "SELECT v.provenance FROM app_versions v JOIN apps a ON a.id = v.app_id \
             WHERE a.project_id = $1 AND a.name || '-' || v.version || '.tgz' = $2",
        )
        .bind(project)
        .bind(file)
        .fetch_optional(self.readers())
        .await?;
        Ok(found.flatten())
    }

    /// Whether any version has this archive.
    pub async fn archive_is_used(&self, digest: &str) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM app_versions WHERE digest = $1 LIMIT 1")
            .bind(digest)
            .fetch_optional(self.readers())
            .await?;
        Ok(found.is_some())
    }

    /// The id of a project by its name; for those who have shown that they may know it.
    pub async fn project_id(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT id FROM projects WHERE name = $1")
            .bind(name)
            .fetch_optional(self.readers())
            .await?)
    }
}

impl Tx {
    pub async fn create_app(&mut self, new: NewAppRow<'_>) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO apps (id, project_id, name, description, repo_url, chart_name, username, password, authorities, \
             created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(new.id)
        .bind(new.project_id)
        .bind(new.name)
        .bind(new.description)
        .bind(new.source.map(|source| source.repo_url.as_str()))
        .bind(new.source.map(|source| source.chart_name.as_str()))
        .bind(new.source.and_then(|source| source.username.as_deref()))
        .bind(new.password)
        .bind(new.source.and_then(|source| source.authorities.as_deref()))
        .bind(now_ms())
        .execute(self.connection())
        .await
        .map_err(|e| StoreError::from(e).or_exists("an application of this name"))?;
        self.app_changed(new.id).await
    }

    /// The digests of its archives, which may be used by nobody now.
    pub async fn delete_app(&mut self, project: &str, app: &str) -> Result<Vec<String>, StoreError> {
        let digests = sqlx::query_scalar("SELECT DISTINCT digest FROM app_versions WHERE app_id = $1")
            .bind(app)
            .fetch_all(self.connection())
            .await?;
        self.charts_changed(app).await?;
        sqlx::query("DELETE FROM apps WHERE id = $1")
            .bind(app)
            .execute(self.connection())
            .await?;
        let change = EventChange::AppDeleted { id: app.to_owned() };
        self.event(Some(project), None, &change).await?;
        Ok(digests)
    }

    /// The digest of its archive, which may be used by nobody now. `None` when there is no such version.
    pub async fn delete_version(&mut self, app: &str, version: &str) -> Result<Option<String>, StoreError> {
        let digest = sqlx::query_scalar(
            "DELETE FROM app_versions WHERE app_id = $1 AND version = $2 RETURNING digest",
        )
        .bind(app)
        .bind(version)
        .fetch_optional(self.connection())
        .await?;
        self.charts_changed(app).await?;
        self.app_changed(app).await?;
        Ok(digest)
    }

    /// The digest that this version was published with.
    pub async fn published_digest(&mut self, app: &str, version: &str) -> Result<Option<String>, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT digest FROM app_versions WHERE app_id = $1 AND version = $2")
                .bind(app)
                .bind(version)
                .fetch_optional(self.connection())
                .await?,
        )
    }

    /// What the project of this application lists is another now.
    async fn charts_changed(&mut self, app: &str) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE projects SET charts_revision = charts_revision + 1 \
             WHERE id = (SELECT project_id FROM apps WHERE id = $1)",
        )
        .bind(app)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// False when there is no such version.
    pub async fn sign_version(
        &mut self,
        app: &str,
        version: &str,
        provenance: &str,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE app_versions SET provenance = $1 WHERE app_id = $2 AND version = $3")
            .bind(provenance)
            .bind(app)
            .bind(version)
            .execute(self.connection())
            .await?;
        self.app_changed(app).await?;
        Ok(done.rows_affected() > 0)
    }

    pub async fn publish_version(&mut self, new: &NewVersionRow<'_>) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO app_versions (app_id, version, digest, size, metadata, default_values, values_schema, readme, \
             created_by, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(new.app_id)
        .bind(&new.metadata.version)
        .bind(new.digest)
        .bind(new.size)
        .bind(json(new.metadata)?)
        .bind(new.values)
        .bind(new.schema)
        .bind(new.readme)
        .bind(new.created_by)
        .bind(now_ms())
        .execute(self.connection())
        .await?;
        self.charts_changed(new.app_id).await?;
        self.app_changed(new.app_id).await
    }
}

/// The application with the id of its project.
pub(super) async fn view(
    connection: &mut SqliteConnection,
    addresses: &Addresses,
    id: &str,
) -> Result<Option<(String, App)>, StoreError> {
    let row = sqlx::query(const_sql(VIEW, "WHERE a.id = $1"))
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let project = row.try_get("project_id")?;
    Ok(Some((project, app(connection, addresses, &row).await?)))
}

async fn app(
    connection: &mut SqliteConnection,
    addresses: &Addresses,
    row: &SqliteRow,
) -> Result<App, StoreError> {
    let id: String = row.try_get("id")?;
    let project: String = row.try_get("project")?;
    let name: String = row.try_get("name")?;
    let versions: Vec<String> = sqlx::query_scalar("SELECT version FROM app_versions WHERE app_id = $1")
        .bind(&id)
        .fetch_all(connection)
        .await?;
    let source = match row.try_get::<Option<String>, _>("repo_url")? {
        Some(repo_url) => Some(ChartSource {
            repo_url,
            chart_name: row
                .try_get::<Option<String>, _>("chart_name")?
                .unwrap_or_else(|| name.clone()),
            username: row.try_get("username")?,
            authorities: row.try_get("authorities")?,
        }),
        None => None,
    };
    let repo_url = match &source {
        Some(source) => source.repo_url.clone(),
        None => repository_url(addresses, &project),
    };
    Ok(App {
        newest: newest(&versions),
        versions: u32::try_from(versions.len()).unwrap_or(u32::MAX),
        description: row.try_get("description")?,
        created_ms: row.try_get("created_ms")?,
        id,
        project,
        name,
        source,
        repo_url,
    })
}

/// Where plain `helm` finds the uploaded charts of a project.
pub fn repository_url(addresses: &Addresses, project: &str) -> String {
    format!("{}/charts/{project}", addresses.http)
}

fn newest(versions: &[String]) -> Option<String> {
    let parsed = versions.iter().filter_map(|version| Version::parse(version).ok());
    let newest = parsed.max_by_key(|version| (!version.is_prerelease(), version.clone()))?;
    Some(newest.as_str().to_owned())
}

fn version(row: &SqliteRow) -> Result<AppVersion, StoreError> {
    let metadata: Metadata = from_json("metadata", row.try_get::<String, _>("metadata")?.as_str())?;
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(AppVersion {
        app: row.try_get("app")?,
        version: row.try_get("version")?,
        app_version: text(&metadata.app_version),
        description: text(&metadata.description),
        digest: Some(format!("sha256:{}", row.try_get::<String, _>("digest")?)),
        size: Some(row.try_get("size")?),
        deprecated: metadata.deprecated,
        library: metadata.chart_type() == ChartType::Library,
        signed: row.try_get("signed")?,
        created_by: Some(row.try_get("created_by")?),
        created_ms: Some(row.try_get("created_ms")?),
    })
}
