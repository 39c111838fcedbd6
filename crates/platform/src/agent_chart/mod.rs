//! `/charts/`: the chart of the agent that fits this server, as a chart repository that plain `helm` uses.
//!
//! In: the files that the build took in. Out: `index.yaml` and the archive, the same bytes from every server of this
//! version. Nobody has to log in for it: it holds no secret. Charts of projects have paths of their own, one level down.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use c7n_pack::chart::{self, ChartError, Packed};

include!(concat!(env!("OUT_DIR"), "/agent_chart_files.rs"));

struct Served {
    index: Bytes,
    archive: Bytes,
    /// Of both together: they come from one set of files.
    tag: HeaderValue,
}

/// The chart of this version.
pub fn packed() -> Result<Packed, ChartError> {
    Packed::new(FILES.iter().copied())
}

/// To be merged into the server's routes.
pub fn router() -> Result<Router, ChartError> {
    let chart = packed()?;
    let archive_path = format!("/charts/{}", chart.file_name());
    let tag = format!("\"{}\"", chart.digest());
    let served = Served {
        index: chart::index([&chart]).into(),
        archive: chart.archive.into(),
        tag: HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"0\"")),
    };
    Ok(Router::new()
        .route("/charts/index.yaml", get(index))
        .route(&archive_path, get(archive))
        .with_state(Arc::new(served)))
}

async fn index(State(served): State<Arc<Served>>, headers: HeaderMap) -> Response {
    answer(&served, &headers, "application/yaml", &served.index)
}

async fn archive(State(served): State<Arc<Served>>, headers: HeaderMap) -> Response {
    answer(&served, &headers, "application/gzip", &served.archive)
}

fn answer(served: &Served, headers: &HeaderMap, media_type: &'static str, body: &Bytes) -> Response {
    let about = [
        (header::ETAG, served.tag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    if headers.get(header::IF_NONE_MATCH) == Some(&served.tag) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, [(header::CONTENT_TYPE, media_type)], body.clone()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_is_of_this_version_and_holds_what_helm_needs() {
        let chart = packed().unwrap();
        assert_eq!(
            chart.file_name(),
            format!("choerodon-cluster-agent-{}.tgz", env!("CARGO_PKG_VERSION")),
            "the chart's version is the workspace's"
        );
        let app_version = format!("appVersion: {}", env!("CARGO_PKG_VERSION"));
        let definition = FILES.iter().find(|(name, _)| *name == "Chart.yaml").unwrap().1;
        assert!(String::from_utf8_lossy(definition).contains(&app_version));
        for wanted in [
            "values.yaml",
            "values.schema.json",
            "templates/deployment.yaml",
            "templates/_helpers.tpl",
        ] {
            assert!(FILES.iter().any(|(name, _)| *name == wanted), "{wanted}");
        }
    }
}
