use axum::Json;
use axum::extract::State;
use c7n_api::{Drift, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// What others had changed of objects that the repository describes, field by field, and was put back. The newest first.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/drift", tag = "environments",
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id")),
    responses((status = 200, body = Vec<Drift>), (status = 404, body = Problem))
)]
pub async fn environment_drift(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
) -> Result<Json<Vec<Drift>>, Failure> {
    let (_, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    Ok(Json(api.store().drifts(&environment.id).await?))
}
