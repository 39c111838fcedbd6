//! Projects, and what a viewer is to them.

use c7n_api::{Project, Role};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::{Store, StoreError, Tx, from_json, from_word, json};

/// Whose eyes a list is read with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    pub user: String,
    pub administrator: bool,
}

impl Viewer {
    /// Adds the rule of visibility to a query that has a WHERE already: members see their projects, administrators all.
    pub fn narrow(&self, query: &mut QueryBuilder<Sqlite>, project_column: &'static str) {
        if self.administrator {
            return;
        }
        query.push(" AND ").push(project_column);
        query
            .push(" IN (SELECT project_id FROM members WHERE user_id = ")
            .push_bind(self.user.clone())
            .push(")");
    }
}

/// A project that the viewer may see, and the role they have in it.
#[derive(Debug, Clone)]
pub struct ProjectAccess {
    pub project: Project,
    pub role: Option<Role>,
}

impl Store {
    pub async fn projects(&self, viewer: &Viewer) -> Result<Vec<Project>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM projects WHERE 1 = 1");
        viewer.narrow(&mut query, "id");
        query.push(" ORDER BY name");
        let rows = query.build().fetch_all(self.readers()).await?;
        rows.iter().map(project).collect()
    }

    /// By id or name. A project that the viewer may not see is not there.
    pub async fn project(&self, viewer: &Viewer, name: &str) -> Result<Option<ProjectAccess>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT p.*, m.role AS role FROM projects p ");
        query
            .push("LEFT JOIN members m ON m.project_id = p.id AND m.user_id = ")
            .push_bind(&viewer.user);
        query
            .push(" WHERE (p.id = ")
            .push_bind(name)
            .push(" OR p.name = ")
            .push_bind(name)
            .push(")");
        viewer.narrow(&mut query, "p.id");
        let Some(row) = query.build().fetch_optional(self.readers()).await? else {
            return Ok(None);
        };
        let role = row
            .try_get::<Option<String>, _>("role")?
            .map(|r| from_word("role", r))
            .transpose()?;
        Ok(Some(ProjectAccess {
            project: project(&row)?,
            role,
        }))
    }
}

impl Tx {
    pub async fn create_project(&mut self, project: &Project) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO projects (id, name, allowed_cluster_kinds, created_ms) VALUES ($1, $2, $3, $4)",
        )
        .bind(&project.id)
        .bind(&project.name)
        .bind(json(&project.allowed_cluster_kinds)?)
        .bind(project.created_ms)
        .execute(self.connection())
        .await
        .map_err(|e| StoreError::from(e).or_exists("a project of this name"))?;
        Ok(())
    }

    /// How many clusters and environments still belong to it.
    pub async fn project_contents(&mut self, project: &str) -> Result<(i64, i64), StoreError> {
        let clusters = sqlx::query_scalar("SELECT COUNT(*) FROM clusters WHERE project_id = $1")
            .bind(project)
            .fetch_one(self.connection())
            .await?;
        let environments = sqlx::query_scalar("SELECT COUNT(*) FROM environments WHERE project_id = $1")
            .bind(project)
            .fetch_one(self.connection())
            .await?;
        Ok((clusters, environments))
    }

    pub async fn delete_project(&mut self, project: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM projects WHERE id = $1")
            .bind(project)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

fn project(row: &SqliteRow) -> Result<Project, StoreError> {
    Ok(Project {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        allowed_cluster_kinds: from_json(
            "allowed_cluster_kinds",
            row.try_get::<String, _>("allowed_cluster_kinds")?.as_str(),
        )?,
        created_ms: row.try_get("created_ms")?,
    })
}
