//! The REST API under `/api/v1`: one file per operation.
//!
//! In: requests. Out: what the store says, as the types of `c7n-api`, or a [`Failure`] that says what to do next. A handler
//! finds what is named (what the caller may not see is not there), asks [`crate::access::authorize`], writes one transaction
//! and wakes those who act on it. Never: a decision about permission of its own, a wait for an agent.

mod apps;
mod authenticate;
mod clusters;
mod commands;
mod deploy;
mod environments;
mod events;
mod extract;
mod failure;
mod failure_of_deploy;
mod find;
mod health;
mod instances;
mod login;
mod me;
mod members;
mod openapi;
mod projects;
mod streams;
mod users;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn, from_fn_with_state};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::access::login_limit::LoginLimit;
use crate::access::passwords::Passwords;
use crate::catalogue::{Archives, ChartFacts, Seal};
use crate::config::{Config, Image};
use crate::deploy::Deployer;
use crate::repositories::Repositories;
use crate::store::Store;
use crate::streams::Streams;

pub use failure::Failure;
pub use openapi::document;

const BODY: usize = 1 << 20;
/// Open streams of events; each costs a few KiB and one query per change.
const EVENT_STREAMS: usize = 2000;

/// Told after a change has committed, so that it is acted on at once. Only hints: who misses one finds out by the clock.
pub trait Wake: Send + Sync + 'static {
    /// What is wanted of this environment has changed, or it is new.
    fn environment_changed(&self, environment: &str);
    /// A command for this cluster was stored or cancelled.
    fn commands_changed(&self, cluster: &str);
    /// This cluster is no more: its session is to be closed.
    fn cluster_deleted(&self, cluster: &str);
}

/// The parts that operations on charts and repositories use.
#[derive(Clone)]
pub struct Catalogue {
    pub archives: Archives,
    pub seal: Arc<Seal>,
    pub facts: ChartFacts,
    pub deployer: Deployer,
}

/// What every handler may use.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    repositories: Repositories,
    passwords: Passwords,
    login_limit: LoginLimit,
    installation_id: String,
    agent_image: Option<Image>,
    wake: Arc<dyn Wake>,
    archives: Archives,
    seal: Arc<Seal>,
    chart_facts: ChartFacts,
    deployer: Deployer,
    event_streams: Arc<Semaphore>,
    streams: Streams,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Api {
    pub async fn new(
        store: Store,
        config: &Config,
        wake: Arc<dyn Wake>,
        catalogue: Catalogue,
        streams: Streams,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Result<Self, crate::store::StoreError> {
        let inner = Inner {
            installation_id: store.installation_id().await?,
            repositories: Repositories::new(&config.data_dir),
            store,
            passwords: Passwords::default(),
            login_limit: LoginLimit::default(),
            agent_image: config.agent_image.clone(),
            wake,
            archives: catalogue.archives,
            seal: catalogue.seal,
            chart_facts: catalogue.facts,
            deployer: catalogue.deployer,
            event_streams: Arc::new(Semaphore::new(EVENT_STREAMS)),
            streams,
            tasks,
            shutdown,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }
}

/// Everything under `/api/v1`, `/healthz` and `/readyz`.
pub fn router(api: Api) -> Router {
    let (open, _) = open_operations().split_for_parts();
    let (closed, _) = closed_operations().split_for_parts();
    let closed = closed
        .fallback(failure::no_such_operation)
        .method_not_allowed_fallback(failure::no_such_method)
        .layer(from_fn_with_state(
            api.clone(),
            authenticate::finish_what_was_begun,
        ))
        .layer(from_fn_with_state(api.clone(), authenticate::authenticate));
    let versioned = Router::new()
        .merge(open)
        .fallback_service(closed.with_state(api.clone()));
    Router::new()
        .nest("/api/v1", versioned)
        .merge(health::router())
        .layer(DefaultBodyLimit::max(BODY))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(from_fn(log_request))
        .with_state(api)
}

/// What needs no token.
fn open_operations() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(login::routes())
        .merge(openapi::routes())
        .merge(streams::open_routes())
}

/// What needs one.
fn closed_operations() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(me::routes())
        .merge(users::routes())
        .merge(projects::routes())
        .merge(members::routes())
        .merge(clusters::routes())
        .merge(environments::routes())
        .merge(apps::routes())
        .merge(deploy::routes())
        .merge(instances::routes())
        .merge(commands::routes())
        .merge(events::routes())
        .merge(streams::routes())
}

/// One line per request at level debug; the path holds no secret, the headers and bodies may.
async fn log_request(
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let began = std::time::Instant::now();
    let response = next.run(request).await;
    let took = began.elapsed();
    let status = response.status().as_u16();
    if took > Duration::from_secs(1) || status >= 500 {
        tracing::warn!(%method, path, status, ?took, "request");
    } else {
        tracing::debug!(%method, path, status, ?took, "request");
    }
    response
}
