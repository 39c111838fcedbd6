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
use axum::extract::DefaultBodyLimit;
use c7n_api::{Deployed, EnvironmentPhase, Mode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::authenticate::SignedIn;
use super::{Api, Failure};
use crate::access::Verb;
use crate::deploy::{Operation, Scene};

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

/// Every operation of this folder, after its caller was found to have the right to push.
async fn carry_out(
    api: &Api,
    who: &SignedIn,
    names: (&str, &str),
    operation: Operation,
    mode: Mode,
) -> Result<Json<Deployed>, Failure> {
    let (project, environment) = api.environment(who, Verb::Push, names).await?;
    if environment.phase == EnvironmentPhase::Removing {
        return Err(crate::deploy::DeployError::Removing.into());
    }
    let scene = Scene {
        username: &who.caller.username,
        actor: who.name(),
        project_id: &project.id,
        environment_id: &environment.id,
        environment: &environment.name,
    };
    Ok(Json(
        api.inner.deployer.carry_out(&scene, &operation, mode).await?,
    ))
}
