use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{App, Problem, Project};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};

/// Users that are named; of more it is said how many they are.
const NAMED: usize = 5;

/// Delete a published version with its archive. It is refused while an instance is made of it.
#[utoipa::path(
    delete, path = "/projects/{project}/apps/{app}/versions/{version}", tag = "apps",
    params(
        ("project" = String, Path, description = "name or id"), ("app" = String, Path, description = "name or id"),
        ("version" = String, Path, description = "exactly as it is listed"),
    ),
    responses(
        (status = 204), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "an instance uses it, or it is not published here"),
    )
)]
pub async fn delete_app_version(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, app, version)): Named<(String, String, String)>,
) -> Result<StatusCode, Failure> {
    let (project, app) = api.app(&who, Verb::Manage, (&project, &app)).await?;
    if app.source.is_some() {
        return Err(Failure::conflict(
            format!("the charts of {} come from another repository", app.name),
            "delete the version there",
        ));
    }
    let users = users(&api, &project, &app, &version).await?;
    if !users.is_empty() {
        return Err(Failure::conflict(
            format!("{} {version} is used by {}", app.name, listed(&users)),
            "upgrade or delete these instances first",
        ));
    }
    // Nobody publishes the same archive between the look at its users and its removal.
    let _held = api.inner.archives.hold().await;
    let mut tx = api.store().write().await?;
    let digest = tx.delete_version(&app.id, &version).await?;
    let digest = digest.ok_or_else(|| Failure::not_found("version"))?;
    let what = format!("app/{}@{version}", app.name);
    tx.audit(&who.name(), "delete", &what, Some(&project.id)).await?;
    tx.commit().await?;
    api.drop_archive(&digest).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the newest commits of the project's environments ask for, and what agents tell of, also where it was asked for by other
/// projects, which are not named.
async fn users(api: &Api, project: &Project, app: &App, version: &str) -> Result<Vec<String>, Failure> {
    let mut own = BTreeSet::new();
    for environment in api.store().environments(&project.id).await? {
        let deployer = &api.inner.deployer;
        let asked = deployer.instances_of(&environment.id, &app.repo_url, &app.name, version);
        own.extend(
            asked
                .await?
                .iter()
                .map(|instance| format!("{}/{instance}", environment.name)),
        );
    }
    let mut foreign = 0;
    for deployed in api.store().deployed(&app.repo_url, &app.name, version).await? {
        match deployed.project_id == project.id {
            true => drop(own.insert(format!("{}/{}", deployed.environment, deployed.instance))),
            false => foreign += 1,
        }
    }
    let mut users: Vec<String> = own.into_iter().collect();
    if foreign > 0 {
        users.push(format!("{foreign} of other projects"));
    }
    Ok(users)
}

fn listed(users: &[String]) -> String {
    let (named, more) = users.split_at(users.len().min(NAMED));
    match more.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_users_are_counted() {
        let users: Vec<String> = (1..=7).map(|n| format!("staging/web-{n}")).collect();
        assert_eq!(listed(&users[..2]), "staging/web-1, staging/web-2");
        assert!(listed(&users).ends_with("staging/web-5 and 2 more"));
    }
}
