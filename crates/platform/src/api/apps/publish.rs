use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use bytes::{Buf, Bytes};
use c7n_api::{AppVersion, Problem};
use c7n_charts::ChartArchive;

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};
use crate::catalogue::UnpackError;
use crate::store::NewVersionRow;

/// 20 MiB over a slow line.
const UPLOAD_TIME: Duration = Duration::from_secs(600);

/// Publish a chart: the archive as `helm package` makes it, of up to 20 MiB, is the body.
///
/// Which application and version it is stands in the chart. A version is published once: the same archive again changes
/// nothing, and another one under the same version is refused.
#[utoipa::path(
    post, path = "/projects/{project}/charts", tag = "apps",
    request_body(content = Vec<u8>, content_type = "application/gzip"),
    params(("project" = String, Path, description = "name or id")),
    responses(
        (status = 201, body = AppVersion), (status = 200, body = AppVersion, description = "it was there already"),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 413, body = Problem),
        (status = 409, body = Problem, description = "this version has another archive, or the application takes no uploads"),
        (status = 422, body = Problem, description = "the archive is no chart"),
        (status = 429, body = Problem, description = "too many are sent at once"),
        (status = 503, body = Problem, description = "too many are read at once"),
    )
)]
pub async fn publish_chart(
    State(api): State<Api>,
    who: SignedIn,
    Named(project): Named<String>,
    request: Request,
) -> Result<(StatusCode, Json<AppVersion>), Failure> {
    let project = api.project(&who, Verb::Push, &project).await?;
    let Ok(_upload) = api.inner.uploads.try_acquire() else {
        return Err(Failure::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many",
            "others publish as many charts as the platform takes at once",
            "publish it again in a moment",
        )
        .retry_after(5));
    };
    let body = tokio::time::timeout(UPLOAD_TIME, Bytes::from_request(request, &api));
    let body = body.await.ok().and_then(Result::ok).ok_or_else(|| {
        Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "the archive did not come whole within ten minutes, or has more than 20 MiB",
            "leave out what the chart does not need (.helmignore), then publish it again",
        )
    })?;
    let chart = read(&api, body.clone()).await?;
    let metadata = &chart.metadata;
    let app = api
        .store()
        .app(&project.id, &metadata.name)
        .await?
        .ok_or_else(|| {
            Failure::new(
                StatusCode::NOT_FOUND,
                "not-found",
                format!(
                    "the project has no application {}, as this chart is called",
                    metadata.name
                ),
                format!("create it first: `c7n app create {}`", metadata.name),
            )
        })?;
    if app.name != metadata.name || app.source.is_some() {
        return Err(Failure::conflict(
            format!("the charts of {} come from another repository", app.name),
            "publish them there, or create an application of another name",
        ));
    }
    let digest = chart.digest.hex();
    let archives = &api.inner.archives;
    let _held = archives.hold().await;
    archives
        .keep(chart.digest, body)
        .await
        .map_err(|error| Failure::internal(&error))?;
    let mut tx = api.store().write().await?;
    let status = match tx.published_digest(&app.id, &metadata.version).await? {
        Some(known) if known == digest => StatusCode::OK,
        Some(_) => {
            drop(tx);
            api.drop_archive(&digest).await?;
            return Err(Failure::conflict(
                format!(
                    "{} {} is published already, with other content",
                    app.name, metadata.version
                ),
                "give the chart a new version in Chart.yaml: what a version means never changes",
            ));
        }
        None => {
            tx.publish_version(&NewVersionRow {
                app_id: &app.id,
                metadata,
                digest: &digest,
                size: i64::try_from(chart.size).unwrap_or(i64::MAX),
                values: chart.values.as_deref(),
                schema: chart.schema.as_deref(),
                readme: chart.readme.as_deref(),
                created_by: &who.caller.username,
            })
            .await?;
            let what = format!("app/{}@{}", app.name, metadata.version);
            tx.audit(&who.name(), "publish", &what, Some(&project.id)).await?;
            tx.commit().await?;
            StatusCode::CREATED
        }
    };
    let made = api.store().app_version(&app.id, &metadata.version).await?;
    let made = made.ok_or_else(|| Failure::not_found("version"))?;
    Ok((status, Json(made.version)))
}

async fn read(api: &Api, body: Bytes) -> Result<ChartArchive, Failure> {
    let read = api.inner.unpacker.read(move || Ok(body.reader()));
    let chart = read.await.map_err(|error| match error {
        UnpackError::Busy => Failure::crowded(error.to_string()),
        UnpackError::Archive(error) => Failure::invalid(
            format!("this is no chart: {error}"),
            "mend it and package it anew",
        ),
    })?;
    if let Err(rule) = c7n_charts::archive::check_published_name(&chart.metadata.name) {
        return Err(Failure::invalid(rule, "name the chart so in Chart.yaml"));
    }
    Ok(chart)
}
