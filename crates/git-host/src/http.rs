//! Git's smart HTTP, to be mounted under a prefix (`/git`): `/PROJECT/ENVIRONMENT.git/info/refs` and the two services.
//!
//! Bodies stream both ways at the slower side's pace. A token comes as `Bearer`, or as the password of `Basic`.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use futures_util::TryStreamExt;
use tokio::io::AsyncWriteExt;
use tokio_util::io::{ReaderStream, StreamReader};
use tokio_util::sync::DropGuard;
use tower_http::decompression::RequestDecompressionLayer;

use crate::host::{BUSY, Denied, HIDDEN};
use crate::process::{Manner, Outcome, Work};
use crate::request::{Service, parse_protocol};
use crate::{Actor, Host, RepositoryPath};

/// What is on its way to a client that reads slowly.
const IN_FLIGHT: usize = 64 << 10;

pub fn http_router(host: Arc<Host>) -> Router {
    Router::new()
        .route("/{project}/{repository}/info/refs", get(advertise))
        .route("/{project}/{repository}/git-upload-pack", post(upload_pack))
        .route("/{project}/{repository}/git-receive-pack", post(receive_pack))
        // Git compresses its requests once they pass a kilobyte.
        .layer(RequestDecompressionLayer::new())
        .with_state(host)
}

#[derive(serde::Deserialize)]
struct Asked {
    service: Option<String>,
}

type Names = Path<(String, String)>;

async fn advertise(
    State(host): State<Arc<Host>>,
    Path(names): Names,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let Some(service) = asked.service.as_deref().and_then(Service::parse) else {
        let text = "this host speaks Git's smart protocol only; use a current git\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    };
    let work = match admit(&host, names, service, Manner::Advertisement, &headers).await {
        Ok(work) => work,
        Err(answer) => return answer,
    };
    // Protocol 2 begins with its capabilities; the older ones with a line that names the service.
    let preface = match work.protocol {
        Some("version=2") => String::new(),
        _ => {
            let line = format!("# service={}\n", service.name());
            format!("{:04x}{line}0000", line.len() + 4)
        }
    };
    stream(
        host,
        work,
        Body::empty(),
        preface,
        format!("application/x-{}-advertisement", service.name()),
    )
    .await
}

async fn upload_pack(state: State<Arc<Host>>, names: Names, headers: HeaderMap, body: Body) -> Response {
    answer(state.0, names.0, Service::UploadPack, headers, body).await
}

async fn receive_pack(state: State<Arc<Host>>, names: Names, headers: HeaderMap, body: Body) -> Response {
    answer(state.0, names.0, Service::ReceivePack, headers, body).await
}

async fn answer(
    host: Arc<Host>,
    names: (String, String),
    service: Service,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let expected = format!("application/x-{}-request", service.name());
    if headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind.as_bytes() != expected.as_bytes())
    {
        return (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("a request here is {expected}\n"),
        )
            .into_response();
    }
    match admit(&host, names, service, Manner::OneAnswer, &headers).await {
        Ok(work) => {
            stream(
                host,
                work,
                body,
                String::new(),
                format!("application/x-{}-result", service.name()),
            )
            .await
        }
        Err(answer) => answer,
    }
}

/// The work that the client may have done, or the answer that turns it away.
async fn admit(
    host: &Host,
    (project, repository): (String, String),
    service: Service,
    manner: Manner,
    headers: &HeaderMap,
) -> Result<Work, Response> {
    let actor = authenticate(host, headers).await.ok_or_else(challenge)?;
    let hidden = || (StatusCode::NOT_FOUND, format!("{HIDDEN}\n")).into_response();
    let path = RepositoryPath::parse(&format!("{project}/{repository}")).ok_or_else(hidden)?;
    let grant = host
        .admit(&actor, &path, service)
        .await
        .map_err(|denied| match denied {
            Denied::Hidden => hidden(),
            Denied::Stated(reason) => (StatusCode::FORBIDDEN, format!("{reason}\n")).into_response(),
        })?;
    let protocol = headers
        .get("git-protocol")
        .and_then(|value| value.to_str().ok())
        .and_then(parse_protocol);
    // There is no version 2 of pushing.
    let protocol = protocol.filter(|version| service == Service::UploadPack || *version != "version=2");
    Ok(Work {
        service,
        manner,
        grant,
        actor,
        protocol,
    })
}

async fn authenticate(host: &Host, headers: &HeaderMap) -> Option<Actor> {
    let token = token_of(headers)?;
    host.authority.by_token(&token).await
}

fn token_of(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credentials.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(
        base64::engine::general_purpose::STANDARD
            .decode(credentials)
            .ok()?,
    )
    .ok()?;
    let (_, password) = decoded.split_once(':')?;
    Some(password.to_owned())
}

fn challenge() -> Response {
    let text = "a token is needed: any user name, and an access token of yours as the password\n";
    let ask = HeaderValue::from_static("Basic realm=\"c7n\", charset=\"UTF-8\"");
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, ask)], text).into_response()
}

async fn stream(host: Arc<Host>, work: Work, body: Body, preface: String, kind: String) -> Response {
    let Some(place) = host.place().await else {
        let retry = (header::RETRY_AFTER, HeaderValue::from_static("30"));
        return (StatusCode::SERVICE_UNAVAILABLE, [retry], format!("{BUSY}\n")).into_response();
    };
    let (mut ours, theirs) = tokio::io::duplex(IN_FLIGHT);
    let cut = host.shutdown.child_token();
    let guard = cut.clone().drop_guard();
    let tasks = host.tasks.clone();
    // It is cut when the client drops the response, or the host closes.
    tasks.spawn(async move {
        let _place = place;
        let input = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
        if ours.write_all(preface.as_bytes()).await.is_err() {
            return;
        }
        match host.serve(&work, input, &mut ours, &cut).await {
            Ok(Outcome::Ended(_)) => {}
            Ok(Outcome::CutShort(reason)) => {
                tracing::info!(repository = work.grant.repository, reason, "cut short")
            }
            Err(error) => tracing::error!(%error, "git cannot be started; install it or put it on PATH"),
        }
    });
    let stream = Guarded {
        stream: ReaderStream::with_capacity(theirs, IN_FLIGHT / 2),
        _guard: guard,
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (
            header::CACHE_CONTROL,
            "no-cache, max-age=0, must-revalidate".into(),
        ),
    ];
    (headers, Body::from_stream(stream)).into_response()
}

/// The response body; dropping it cuts the work short.
struct Guarded<S> {
    stream: S,
    _guard: DropGuard,
}

impl<S: futures_util::Stream + Unpin> futures_util::Stream for Guarded<S> {
    type Item = S::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::pin::Pin::new(&mut self.stream).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_token_is_a_bearer_or_a_password() {
        assert_eq!(token_of(&headers("Bearer abc")).as_deref(), Some("abc"));
        let basic = base64::engine::general_purpose::STANDARD.encode("anyone:abc:d");
        assert_eq!(
            token_of(&headers(&format!("Basic {basic}"))).as_deref(),
            Some("abc:d")
        );
        assert_eq!(token_of(&headers("Basic !")), None);
        assert_eq!(token_of(&headers("Digest x")), None);
        assert_eq!(token_of(&HeaderMap::new()), None);
    }
}
