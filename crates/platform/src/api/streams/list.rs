use axum::Json;
use axum::extract::State;
use c7n_api::{Page, Problem, Role, StreamRecord};

use crate::access::{Resource, Verb, authorize};
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Asked, Named, Paging};
use crate::api::{Api, Failure};

/// List the streams that there were and are, newest first. Owners see all, others their own.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/streams", tag = "streams",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"), Paging),
    responses((status = 200, body = Page<StreamRecord>), (status = 404, body = Problem))
)]
pub async fn list_streams(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<StreamRecord>>, Failure> {
    let place = (project.as_str(), environment.as_str());
    let (environment, role) = api.own_environment(&who, Verb::See, place).await?;
    let all = sees_all_streams(&who, role);
    let page = api
        .store()
        .stream_records(
            &environment.id,
            (!all).then_some(who.caller.id.as_str()),
            paging.after(),
            paging.length(),
        )
        .await?;
    Ok(Json(page))
}

/// Owners see what everybody did, the others what they did themselves.
pub(super) fn sees_all_streams(who: &SignedIn, role: Option<Role>) -> bool {
    authorize(&who.actor(), Verb::Manage, Resource::Project { role }).is_ok()
}
