//! The chart repository of a project: `/charts/PROJECT/index.yaml`, the archives and their provenance files, as plain `helm` reads them.
//!
//! Who asks comes with a token as `Bearer`, or as the password of `Basic` with any user name: a token of the project's
//! repository, an API token of somebody who sees the project, or the credential of an agent that delivers for the project.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use c7n_charts::{Index, IndexEntry};
use tokio_util::io::ReaderStream;

use super::Archives;
use super::indexes::{Indexes, Tagged};
use super::time::rfc3339;
use crate::access::{Actor, Resource, Verb, authorize, tokens};
use crate::store::{Store, StoreError, Viewer};

/// What is behind the addresses.
#[derive(Clone)]
pub struct Charts {
    store: Store,
    archives: Archives,
    indexes: Indexes,
}

impl Charts {
    pub fn new(store: Store, archives: Archives) -> Self {
        Self {
            store,
            archives,
            indexes: Indexes::default(),
        }
    }
}

/// To be merged into the platform's addresses.
pub fn router(charts: Charts) -> Router {
    Router::new()
        .route("/charts/{project}/{file}", get(file))
        .with_state(charts)
}

/// Why something is not given.
enum No {
    /// Nobody that is known asks.
    Unknown,
    /// One and the same for what is not there and what may not be seen.
    Hidden,
    Broken,
}

impl From<StoreError> for No {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the chart repository cannot be answered from");
        Self::Broken
    }
}

async fn file(
    State(charts): State<Charts>,
    Path((project, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    match charts.answer(&project, &file, &headers).await {
        Ok(response) => response,
        Err(No::Unknown) => (
            StatusCode::UNAUTHORIZED,
            [(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"charts\", charset=\"UTF-8\""),
            )],
            "this needs a token as the password, with any user name: `c7n app token create` makes one\n",
        )
            .into_response(),
        Err(No::Hidden) => (
            StatusCode::NOT_FOUND,
            "there is no such project, chart or version, or this token may not read it\n",
        )
            .into_response(),
        Err(No::Broken) => (
            StatusCode::SERVICE_UNAVAILABLE,
            [(header::RETRY_AFTER, HeaderValue::from_static("5"))],
            "the platform cannot answer at this moment; try again soon\n",
        )
            .into_response(),
    }
}

impl Charts {
    async fn answer(&self, project: &str, file: &str, headers: &HeaderMap) -> Result<Response, No> {
        let project = self.admit(project, headers).await?;
        if file == "index.yaml" {
            return self.index(&project, headers).await;
        }
        if let Some(archive) = file.strip_suffix(".prov") {
            return self.provenance(&project, archive, headers).await;
        }
        let digest = self.store.archive_of(&project, file).await?.ok_or(No::Hidden)?;
        let etag = format!("\"{digest}\"");
        if is_known(headers, &etag) {
            return Ok(not_modified(&etag));
        }
        let archive = self.archives.open(&digest).await.map_err(|error| {
            tracing::error!(%error, "an archive cannot be given");
            No::Broken
        })?;
        let Some(archive) = archive else {
            tracing::error!(
                digest,
                "the archive of a published chart is gone from the data folder"
            );
            return Err(No::Broken);
        };
        let length = archive.metadata().await.map_err(|_| No::Broken)?.len();
        let headers = [
            (header::CONTENT_TYPE, "application/gzip".to_owned()),
            (header::CONTENT_LENGTH, length.to_string()),
            (header::ETAG, etag),
            (
                header::CACHE_CONTROL,
                "private, max-age=31536000, immutable".to_owned(),
            ),
        ];
        Ok((headers, Body::from_stream(ReaderStream::new(archive))).into_response())
    }

    async fn provenance(&self, project: &str, archive: &str, headers: &HeaderMap) -> Result<Response, No> {
        let text = self
            .store
            .provenance_of(project, archive)
            .await?
            .ok_or(No::Hidden)?;
        // A version may be signed anew.
        Ok(revalidated(
            "text/plain; charset=utf-8",
            Tagged::new(text),
            headers,
        ))
    }

    async fn index(&self, project: &str, headers: &HeaderMap) -> Result<Response, No> {
        let revision = self.store.charts_revision(project).await?;
        let index = match self.indexes.get(project, revision) {
            Some(index) => index,
            None => {
                let index = Tagged::new(self.make_index(project).await?);
                self.indexes.keep(project, revision, index.clone());
                index
            }
        };
        Ok(revalidated("application/yaml", index, headers))
    }

    async fn make_index(&self, project: &str) -> Result<String, No> {
        let mut index = Index::default();
        let mut newest = 0;
        for version in self.store.listed_versions(project).await? {
            newest = newest.max(version.created_ms);
            let file = format!("{}-{}.tgz", version.metadata.name, version.metadata.version);
            index.add(IndexEntry {
                metadata: version.metadata,
                urls: vec![file],
                created: rfc3339(version.created_ms),
                digest: version.digest,
                removed: false,
            });
        }
        // When it changed last, so that the same content is the same text.
        index.generated = rfc3339(newest);
        Ok(index.to_yaml())
    }

    /// The id of the project, for those who may read its charts.
    async fn admit(&self, project: &str, headers: &HeaderMap) -> Result<String, No> {
        let hash = tokens::hash(&token(headers).ok_or(No::Unknown)?);
        if let Some(own) = self.store.project_of_chart_token(&hash).await? {
            let asked = self.store.project_id(project).await?;
            return asked.filter(|asked| *asked == own).ok_or(No::Hidden);
        }
        if let Some(owner) = self.store.token_owner(&hash).await? {
            let viewer = Viewer {
                user: owner.caller.id.clone(),
                administrator: owner.caller.administrator,
            };
            let found = self.store.project(&viewer, project).await?.ok_or(No::Hidden)?;
            let resource = Resource::Project { role: found.role };
            authorize(&Actor::User(owner.caller), Verb::See, resource).map_err(|_| No::Hidden)?;
            return Ok(found.project.id);
        }
        let cluster = self
            .store
            .cluster_of_credential(&hash)
            .await?
            .ok_or(No::Unknown)?;
        let asked = self.store.project_id(project).await?.ok_or(No::Hidden)?;
        if self.store.cluster_serves_project(&cluster, &asked).await? {
            Ok(asked)
        } else {
            Err(No::Hidden)
        }
    }
}

fn token(headers: &HeaderMap) -> Option<String> {
    let (scheme, rest) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(rest.trim())
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    Some(text.split_once(':')?.1.to_owned())
}

/// RFC 9110, 13.1.2: weak comparison, any of a list.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let all = headers.get_all(header::IF_NONE_MATCH);
    all.iter().filter_map(|value| value.to_str().ok()).any(|known| {
        known
            .split(',')
            .map(|one| one.trim().trim_start_matches("W/"))
            .any(|one| one == "*" || one == etag)
    })
}

/// A text that may be another the next time.
fn revalidated(content_type: &'static str, content: Tagged, headers: &HeaderMap) -> Response {
    let Tagged { text, etag } = content;
    if is_known(headers, &etag) {
        return not_modified(&etag);
    }
    let headers = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::ETAG, etag),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    (headers, text).into_response()
}

fn not_modified(etag: &str) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, etag.to_owned())]).into_response()
}
