use axum::Json;
use axum::extract::State;
use c7n_api::{LiveObject, Page, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Asked, Named, Paging};
use crate::api::{Api, Failure};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Only objects of this kind, for instance `Pod`.
    kind: Option<String>,
}

/// The live objects of an environment, by group, kind and name.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/objects", tag = "environments",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"), Wanted, Paging),
    responses((status = 200, body = Page<LiveObject>), (status = 404, body = Problem))
)]
pub async fn environment_objects(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
    Asked(wanted): Asked<Wanted>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<LiveObject>>, Failure> {
    let (_, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    let kind = wanted.kind.as_deref();
    let page = api
        .store()
        .objects(&environment.id, kind, paging.after(), paging.length())
        .await?;
    Ok(Json(page))
}
