use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use c7n_api::{LogTarget, Problem, ReadLogs};
use c7n_stream::{End, EndCode};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Asked, Named};
use crate::api::{Api, Failure};
use crate::streams::{Download, Opener};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Without it the one that `kubectl` would take.
    container: Option<String>,
    /// Of the container that ran before the present one.
    #[serde(default)]
    previous: bool,
    /// Nothing older than this.
    since_ms: Option<i64>,
    /// No more than so many lines.
    tail: Option<u32>,
    /// Each line begins with its time (RFC 3339).
    #[serde(default)]
    timestamps: bool,
}

/// Download the log of a container, as it is now.
///
/// The answer is broken off when the log breaks off: what ends well is the whole.
#[utoipa::path(
    get, path = "/projects/{project}/environments/{environment}/pods/{pod}/log", tag = "streams",
    params(
        ("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id"),
        ("pod" = String, Path), Wanted,
    ),
    responses(
        (status = 200, content_type = "text/plain", body = String),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem), (status = 429, body = Problem),
        (status = 502, body = Problem, description = "the cluster cannot give it"),
    )
)]
pub async fn download_log(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment, pod)): Named<(String, String, String)>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Failure> {
    let (_, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    let name = match &wanted.container {
        Some(container) => format!("{pod}-{container}.log"),
        None => format!("{pod}.log"),
    };
    let opener = Opener {
        token_hash: &who.token_hash,
        environment: &environment.id,
        environment_name: &environment.name,
    };
    let logs = ReadLogs {
        target: LogTarget::Pod(pod),
        container: wanted.container,
        all_containers: false,
        previous: wanted.previous,
        follow: false,
        timestamps: wanted.timestamps,
        since_ms: wanted.since_ms,
        tail: wanted.tail,
        from: Vec::new(),
    };
    // What is wrong with the names is found in there, before they come into a header.
    let mut download = api.inner.streams.download(opener, logs).await?;
    let first = download.begin().await.map_err(refused)?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    Ok((headers, Body::from_stream(body(first, download))).into_response())
}

fn body(
    first: Option<Bytes>,
    download: Download,
) -> impl stream::Stream<Item = Result<Bytes, std::io::Error>> {
    let rest = stream::unfold(download, |mut download| async move {
        let next = download.next().await?;
        let next = next.map_err(|end| std::io::Error::other(end.message));
        Some((next, download))
    });
    stream::iter(first.map(Ok)).chain(rest)
}

fn refused(end: End) -> Failure {
    let (status, code) = match end.code() {
        EndCode::NotFound => (StatusCode::NOT_FOUND, "not-found"),
        EndCode::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
        EndCode::ClusterAway => (StatusCode::CONFLICT, "cluster-away"),
        EndCode::Busy => (StatusCode::TOO_MANY_REQUESTS, "too-many-streams"),
        _ => (StatusCode::BAD_GATEWAY, "log-failed"),
    };
    let (title, next) = end
        .message
        .rsplit_once("; ")
        .unwrap_or((&end.message, "try again"));
    Failure::new(status, code, title, next)
}
