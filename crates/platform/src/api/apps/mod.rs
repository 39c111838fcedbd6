//! The catalogue: applications, what is published of them, and who may read a project's charts.

mod create;
mod delete;
mod delete_version;
mod publish;
mod read;
mod sign_version;
mod tokens;
mod versions;

use axum::extract::DefaultBodyLimit;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Api, Failure};

/// Bytes of an archive; the budget of reading one is the same.
const ARCHIVE: usize = 20 << 20;

impl Api {
    /// Removes an archive that no version has any more; to be called with the archives held.
    async fn drop_archive(&self, digest: &str) -> Result<(), Failure> {
        if !self.store().archive_is_used(digest).await? {
            self.inner.archives.remove(digest).await;
        }
        Ok(())
    }
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    let publish = OpenApiRouter::new()
        .routes(routes!(publish::publish_chart))
        .layer(DefaultBodyLimit::max(ARCHIVE));
    OpenApiRouter::new()
        .routes(routes!(read::list_apps, create::create_app))
        .routes(routes!(read::get_app, delete::delete_app))
        .routes(routes!(versions::list_app_versions))
        .routes(routes!(
            versions::get_app_version,
            delete_version::delete_app_version
        ))
        .routes(routes!(sign_version::sign_app_version))
        .routes(routes!(tokens::list_chart_tokens, tokens::issue_chart_token))
        .routes(routes!(tokens::revoke_chart_token))
        .merge(publish)
}
