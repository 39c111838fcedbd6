use axum::Json;
use axum::extract::State;
use c7n_api::{HistoryEntry, Page, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Asked, Named, Paging};
use crate::api::{Api, Failure};

/// What was pushed, newest first: per commit what it changed and how its delivery went.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/history", tag = "environments",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"), Paging),
    responses((status = 200, body = Page<HistoryEntry>), (status = 404, body = Problem))
)]
pub async fn environment_history(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<HistoryEntry>>, Failure> {
    let (_, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    let page = api
        .store()
        .history(&environment.id, paging.after(), paging.length())
        .await?;
    Ok(Json(page))
}
