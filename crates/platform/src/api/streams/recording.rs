use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use c7n_api::Problem;
use tokio_util::io::ReaderStream;

use super::list::sees_all_streams;
use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// Read what a terminal showed, to be played again: asciicast v2. Owners read all, others their own.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/streams/{id}/recording", tag = "streams",
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("id" = String, Path),
    ),
    responses((status = 200, content_type = "application/x-asciicast", body = String), (status = 404, body = Problem))
)]
pub async fn stream_recording(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment, id)): Named<(String, String, String)>,
) -> Result<Response, Failure> {
    let place = (project.as_str(), environment.as_str());
    let (environment, role) = api.own_environment(&who, Verb::See, place).await?;
    let missing = || Failure::not_found("recording");
    let (record, user) = api
        .store()
        .stream_record(&environment.id, &id)
        .await?
        .ok_or_else(missing)?;
    let own = user == who.caller.id;
    if !record.recorded || !(own || sees_all_streams(&who, role)) {
        return Err(missing());
    }
    let file = api.inner.streams.recordings().read(&record.id).await;
    let file = file
        .map_err(|error| Failure::internal(&error))?
        .ok_or_else(missing)?;
    let name = format!("attachment; filename=\"{}.cast\"", record.id);
    let headers = [
        (header::CONTENT_TYPE, "application/x-asciicast".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}
