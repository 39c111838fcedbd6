use axum::Json;
use axum::extract::State;
use c7n_api::{HistoryEntry, Page, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use super::page_length;
use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Asked, Named};
use crate::api::{Api, Failure};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// `next` of the page before.
    after: Option<String>,
    /// 1 to 500, 50 unless said otherwise.
    limit: Option<u32>,
}

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
        .history(
            &environment.id,
            paging.after.as_deref(),
            page_length(paging.limit),
        )
        .await?;
    Ok(Json(page))
}
