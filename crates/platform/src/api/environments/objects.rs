use axum::Json;
use axum::extract::State;
use c7n_api::{LiveObject, Page, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use super::page_length;
use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Asked, Named};
use crate::api::{Api, Failure};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Only objects of this kind, for instance `Pod`.
    kind: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// 1 to 500, 50 unless said otherwise.
    limit: Option<u32>,
}

/// The live objects of an environment, by group, kind and name.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/objects", tag = "environments",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"), Wanted),
    responses((status = 200, body = Page<LiveObject>), (status = 404, body = Problem))
)]
pub async fn environment_objects(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page<LiveObject>>, Failure> {
    let (_, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    let (kind, after) = (wanted.kind.as_deref(), wanted.after.as_deref());
    Ok(Json(
        api.store()
            .objects(&environment.id, kind, after, page_length(wanted.limit))
            .await?,
    ))
}
