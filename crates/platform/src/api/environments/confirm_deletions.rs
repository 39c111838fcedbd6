use axum::Json;
use axum::extract::State;
use c7n_api::{ConfirmDeletions, Environment, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::{Api, Failure};

/// Say that the deletions held at a commit are meant. The agent then carries them out.
#[utoipa::path(
    post, path = "/projects/{project}/environments/{environment}/confirm-deletions", tag = "environments",
    request_body = ConfirmDeletions,
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id")),
    responses(
        (status = 200, body = Environment), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "nothing is held at this commit"),
    )
)]
pub async fn confirm_deletions(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
    Body(confirm): Body<ConfirmDeletions>,
) -> Result<Json<Environment>, Failure> {
    let (project, environment) = api
        .environment(&who, Verb::Command, (&project, &environment))
        .await?;
    let mut tx = api.store().write().await?;
    if !tx.confirm_deletions(&environment.id, &confirm.commit).await? {
        return Err(Failure::conflict(
            "no deletions are held at this commit",
            "read the environment again: `held` says what waits, and at which commit",
        ));
    }
    tx.environment_changed(&environment.id).await?;
    let what = format!("environment/{}@{}", environment.name, confirm.commit);
    tx.audit(&who.name(), "confirm-deletions", &what, Some(&project.id))
        .await?;
    tx.commit().await?;
    api.inner.wake.environment_changed(&environment.id);
    let now = api.store().environment(&project.id, &environment.id).await?;
    Ok(Json(now.ok_or_else(|| Failure::not_found("environment"))?))
}
