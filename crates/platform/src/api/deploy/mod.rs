//! Instances deployed, changed and taken away by a call, and files written by one: each is a commit by its caller.

mod delete_instance;
mod deploy_instance;
mod files;
mod put_file;
mod remove_file;
mod roll_back_instance;
mod run_state;
mod upgrade_instance;

use axum::Json;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use c7n_api::{Deployed, EnvironmentPhase, Mode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::authenticate::SignedIn;
use super::extract::Named;
use super::{Api, Failure};
use crate::access::Verb;
use crate::deploy::{DeployError, Operation, Scene};

/// Values of half a megabyte, written as JSON, fit well.
const BODY: usize = 4 << 20;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(deploy_instance::deploy_instance))
        .routes(routes!(upgrade_instance::upgrade_instance))
        .routes(routes!(roll_back_instance::roll_back_instance))
        .routes(routes!(run_state::stop_instance))
        .routes(routes!(run_state::start_instance))
        .routes(routes!(delete_instance::delete_instance))
        .routes(routes!(files::list_repository_files))
        .routes(routes!(
            files::get_repository_file,
            put_file::put_repository_file,
            remove_file::remove_repository_file
        ))
        .layer(DefaultBodyLimit::max(BODY))
}

/// What every operation of this folder begins with: who asks, and on what of which environment.
struct Call<N = String> {
    api: Api,
    who: SignedIn,
    project: String,
    environment: String,
    /// The last part of the address: an instance or a file.
    name: N,
}

impl FromRequestParts<Api> for Call {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failure> {
        let Named((project, environment, name)) = Named::from_request_parts(parts, api).await?;
        Ok(Self {
            api: api.clone(),
            who: SignedIn::from_request_parts(parts, api).await?,
            project,
            environment,
            name,
        })
    }
}

/// Where the address names nothing yet.
impl FromRequestParts<Api> for Call<()> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failure> {
        let Named((project, environment)) = Named::from_request_parts(parts, api).await?;
        Ok(Self {
            api: api.clone(),
            who: SignedIn::from_request_parts(parts, api).await?,
            project,
            environment,
            name: (),
        })
    }
}

impl<N> Call<N> {
    /// After the caller was found to have the right to push.
    async fn carry_out(
        self,
        operation: impl FnOnce(N) -> Operation,
        mode: Mode,
    ) -> Result<Json<Deployed>, Failure> {
        let names = (self.project.as_str(), self.environment.as_str());
        let (project, environment) = self.api.environment(&self.who, Verb::Push, names).await?;
        if environment.phase == EnvironmentPhase::Removing {
            return Err(DeployError::Removing.into());
        }
        let scene = Scene {
            username: &self.who.caller.username,
            actor: self.who.name(),
            project_id: &project.id,
            environment_id: &environment.id,
            environment: &environment.name,
        };
        let deployer = &self.api.inner.deployer;
        Ok(Json(
            deployer.carry_out(&scene, &operation(self.name), mode).await?,
        ))
    }
}
