use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{App, ChartSource, NewApp, NewChartSource, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::{Api, Failure};
use crate::deploy::check_repository;
use crate::names;
use crate::store::{NewAppRow, new_id};

/// Bytes of certificates; the whole of a system's are about as many.
const AUTHORITIES: usize = 256 << 10;

/// Create an application, for charts that are uploaded or that stay in another repository.
#[utoipa::path(
    post, path = "/projects/{project}/apps", tag = "apps", request_body = NewApp,
    params(("project" = String, Path, description = "name or id")),
    responses(
        (status = 201, body = App), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "the name is taken"), (status = 422, body = Problem),
    )
)]
pub async fn create_app(
    State(api): State<Api>,
    who: SignedIn,
    Named(project): Named<String>,
    Body(new): Body<NewApp>,
) -> Result<(StatusCode, Json<App>), Failure> {
    // The platform will visit the address of a source: that is for owners to decide.
    let verb = if new.source.is_some() {
        Verb::Manage
    } else {
        Verb::Push
    };
    let project = api.project(&who, verb, &project).await?;
    names::label("application name", &new.name)?;
    let id = new_id();
    let (source, password) = match new.source {
        Some(source) => {
            let (source, password) = checked(&new.name, source)?;
            if let Some(authorities) = &source.authorities {
                check_authorities(&api, authorities)?;
            }
            let sealed = password
                .map(|password| api.inner.seal.seal(&id, &password))
                .transpose();
            (Some(source), sealed.map_err(|error| Failure::internal(&error))?)
        }
        None => (None, None),
    };
    let description: Option<String> = new.description.map(|text| text.chars().take(500).collect());
    let mut tx = api.store().write().await?;
    tx.create_app(NewAppRow {
        id: &id,
        project_id: &project.id,
        name: &new.name,
        description: description.as_deref(),
        source: source.as_ref(),
        password,
    })
    .await?;
    tx.audit(
        &who.name(),
        "create",
        &format!("app/{}", new.name),
        Some(&project.id),
    )
    .await?;
    tx.commit().await?;
    let made = api.store().app(&project.id, &id).await?;
    Ok((
        StatusCode::CREATED,
        Json(made.ok_or_else(|| Failure::not_found("application"))?),
    ))
}

fn checked(name: &str, source: NewChartSource) -> Result<(ChartSource, Option<String>), Failure> {
    let chart_name = source.chart_name.unwrap_or_else(|| name.to_owned());
    check_repository(&source.repo_url, &chart_name)?;
    let password = source.password.filter(|password| !password.is_empty());
    if password.is_some() && source.repo_url.starts_with("http://") && !is_loopback(&source.repo_url) {
        return Err(Failure::invalid(
            "a password would cross the network in clear text",
            "give the repository's https:// address",
        ));
    }
    let source = ChartSource {
        repo_url: source.repo_url.trim_end_matches('/').to_owned(),
        chart_name,
        username: source.username.filter(|username| !username.is_empty()),
        authorities: source.authorities.filter(|pem| !pem.trim().is_empty()),
    };
    Ok((source, password))
}

fn check_authorities(api: &Api, pem: &str) -> Result<(), Failure> {
    let next = "give their certificates, each between BEGIN CERTIFICATE and END CERTIFICATE";
    if pem.len() > AUTHORITIES || pem.contains("PRIVATE KEY") {
        let what = "the authorities have a private key among them, or more than 256 KiB";
        return Err(Failure::invalid(what, next));
    }
    let checked = api.inner.chart_facts.check_authorities(pem);
    checked.map_err(|error| Failure::invalid(error.to_string(), next))
}

fn is_loopback(url: &str) -> bool {
    let host = url.strip_prefix("http://").unwrap_or_default();
    let host = host.split(['/', ':']).next().unwrap_or_default();
    host == "localhost" || host.starts_with("127.")
}
