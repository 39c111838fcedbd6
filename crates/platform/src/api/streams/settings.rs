//! How an environment's streams are guarded.

use axum::Json;
use axum::extract::State;
use c7n_api::{Problem, StreamSettings};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::{Api, Failure};

const LONGEST_IDLE: u32 = 24 * 60;

/// Read how an environment's streams are guarded.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/stream-settings", tag = "streams",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id")),
    responses((status = 200, body = StreamSettings), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn get_stream_settings(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
) -> Result<Json<StreamSettings>, Failure> {
    let (_, environment) = api
        .environment(&who, Verb::Manage, (&project, &environment))
        .await?;
    let settings = api.store().stream_settings(&environment.id).await?;
    Ok(Json(settings.ok_or_else(|| Failure::not_found("environment"))?))
}

/// Set how an environment's streams are guarded. It holds for those that are opened afterwards.
#[utoipa::path(
    put, path = "/projects/{project}/environments/{environment}/stream-settings", tag = "streams", request_body = StreamSettings,
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id")),
    responses(
        (status = 200, body = StreamSettings), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem),
    )
)]
pub async fn put_stream_settings(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
    Body(settings): Body<StreamSettings>,
) -> Result<Json<StreamSettings>, Failure> {
    let (project, environment) = api
        .environment(&who, Verb::Manage, (&project, &environment))
        .await?;
    if !(1..=LONGEST_IDLE).contains(&settings.idle_minutes) {
        let next = format!("give 1 to {LONGEST_IDLE} minutes");
        return Err(Failure::invalid("`idle_minutes` does not fit", next));
    }
    let mut tx = api.store().write().await?;
    tx.put_stream_settings(&environment.id, &settings).await?;
    let StreamSettings {
        record_exec,
        review_access,
        idle_minutes,
    } = settings;
    let what = format!(
        "environment/{}/stream-settings/record_exec={record_exec},review_access={review_access},idle_minutes={idle_minutes}",
        environment.name
    );
    tx.environment_changed(&environment.id).await?;
    tx.audit(&who.name(), "put", &what, Some(&project.id)).await?;
    tx.commit().await?;
    Ok(Json(settings))
}
