use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{Environment, NewEnvironment, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::{Api, Failure};
use crate::names;
use crate::store::{NewEnvironmentRow, StoreError, new_id};

/// Create an environment: its repository now, its namespace as soon as the cluster's agent is told.
#[utoipa::path(
    post, path = "/projects/{project}/environments", tag = "environments", request_body = NewEnvironment,
    params(("project" = String, Path, description = "name or id")),
    responses(
        (status = 201, body = Environment), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "the name, or the namespace on this cluster, is taken"),
        (status = 422, body = Problem),
    )
)]
pub async fn create_environment(
    State(api): State<Api>,
    who: SignedIn,
    Named(project): Named<String>,
    Body(new): Body<NewEnvironment>,
) -> Result<(StatusCode, Json<Environment>), Failure> {
    let project = api.project(&who, Verb::Manage, &project).await?;
    names::label("environment name", &new.name)?;
    let namespace = new
        .namespace
        .unwrap_or_else(|| format!("{}-{}", project.name, new.name));
    names::namespace(&namespace)?;
    let branch = new.branch.unwrap_or_else(|| "main".to_owned());
    names::branch(&branch)?;
    let cluster = api
        .store()
        .cluster(&project.id, &new.cluster)
        .await?
        .ok_or_else(|| {
            Failure::invalid(
                "the project has no such cluster",
                "GET /api/v1/projects/PROJECT/clusters lists them",
            )
        })?;
    let row = NewEnvironmentRow {
        id: new_id(),
        project_id: project.id.clone(),
        cluster_id: cluster.id,
        name: new.name,
        namespace,
        branch,
    };
    // First the repository, then the row: what is in the database can be pushed to.
    api.inner.repositories.create(&row.id, &row.branch).await?;
    if let Err(failure) = insert(&api, &who, &row).await {
        api.inner.repositories.remove(&row.id).await;
        return Err(failure.into());
    }
    api.inner.wake.environment_changed(&row.id);
    let made = api.store().environment(&project.id, &row.id).await?;
    Ok((
        StatusCode::CREATED,
        Json(made.ok_or_else(|| Failure::not_found("environment"))?),
    ))
}

async fn insert(api: &Api, who: &SignedIn, row: &NewEnvironmentRow) -> Result<(), StoreError> {
    let mut tx = api.store().write().await?;
    tx.create_environment(row).await?;
    tx.environment_changed(&row.id).await?;
    tx.audit(
        &who.name(),
        "create",
        &format!("environment/{}", row.name),
        Some(&row.project_id),
    )
    .await?;
    tx.commit().await
}
