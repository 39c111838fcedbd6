use axum::Json;
use axum::extract::State;
use c7n_api::{Page, Problem, StreamRecord};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::access::{Resource, Verb, authorize};
use crate::api::authenticate::SignedIn;
use crate::api::environments::page_length;
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
    let (_, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    let all = api.sees_all_streams(&who, &project).await?;
    let page = api
        .store()
        .stream_records(
            &environment.id,
            (!all).then_some(who.caller.id.as_str()),
            paging.after.as_deref(),
            page_length(paging.limit),
        )
        .await?;
    Ok(Json(page))
}

impl Api {
    /// Owners see what everybody did, the others what they did themselves.
    pub(super) async fn sees_all_streams(&self, who: &SignedIn, project: &str) -> Result<bool, Failure> {
        let found = self.store().project(&who.viewer(), project).await?;
        let role = found.and_then(|found| found.role);
        Ok(authorize(&who.actor(), Verb::Manage, Resource::Project { role }).is_ok())
    }
}
