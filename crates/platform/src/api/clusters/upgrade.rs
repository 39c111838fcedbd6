use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{AgentUpgrade, ClusterState, CommandState, NewAgentUpgrade, Problem};
use c7n_link::FEATURE_UPGRADE;

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::{Api, Failure};
use crate::config;
use crate::store::{new_id, now_ms};

/// How long a new version may take to report, in seconds: at least, unless told otherwise, at most.
const PATIENCE_S: (u32, u32, u32) = (10, 300, 1800);
/// Taking the old version back and telling of it takes time as well.
const BEYOND_MS: i64 = 120 * 1000;

/// Tell the agent to put another version in its own place.
///
/// If the new one does not report in time the agent takes the old one back. Read the upgrade until its state is final.
#[utoipa::path(
    post, path = "/projects/{project}/clusters/{cluster}/upgrade", tag = "clusters", request_body = NewAgentUpgrade,
    params(("project" = String, Path, description = "name or id"), ("cluster" = String, Path, description = "name or id")),
    responses(
        (status = 201, body = AgentUpgrade), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem),
    )
)]
pub async fn upgrade_agent(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, cluster)): Named<(String, String)>,
    Body(new): Body<NewAgentUpgrade>,
) -> Result<(StatusCode, Json<AgentUpgrade>), Failure> {
    let (project, cluster) = api.cluster(&who, Verb::Manage, (&project, &cluster)).await?;
    let image = config::image(&new.image).map_err(|why| {
        Failure::invalid(
            format!("{:?} is no image: {why}", new.image),
            "give REPOSITORY:TAG or REPOSITORY@DIGEST",
        )
    })?;
    if image.version.is_none() {
        return Err(Failure::invalid(
            "an image without a tag is another one every day",
            "give REPOSITORY:TAG or REPOSITORY@DIGEST",
        ));
    }
    let (least, usual, most) = PATIENCE_S;
    let patience = new.timeout_seconds.unwrap_or(usual);
    if !(least..=most).contains(&patience) {
        return Err(Failure::invalid(
            format!("a new version gets {least} to {most} seconds to report"),
            "give `timeout_seconds` in between",
        ));
    }
    if cluster.state != ClusterState::Running {
        return Err(Failure::conflict(
            format!("the agent of {} is not connected", cluster.name),
            "upgrade it where it runs (`helm upgrade`), or wait until it is back",
        ));
    }
    if !api.store().agent_can(&cluster.id, FEATURE_UPGRADE).await? {
        return Err(Failure::conflict(
            format!("the agent of {} cannot upgrade itself yet", cluster.name),
            "upgrade it where it runs: `helm upgrade` with the values that it has",
        ));
    }
    let (now, patience_ms) = (now_ms(), i64::from(patience) * 1000);
    let upgrade = AgentUpgrade {
        id: new_id(),
        cluster: cluster.id.clone(),
        image: new.image,
        state: CommandState::Pending,
        message: None,
        created_by: who.caller.username.clone(),
        created_ms: now,
        deadline_ms: now + patience_ms + BEYOND_MS,
        finished_ms: None,
    };
    let mut tx = api.store().write().await?;
    if !tx.create_upgrade(&upgrade, patience_ms).await? {
        return Err(Failure::conflict(
            "another upgrade of this agent has no end yet",
            "wait until it has: `c7n cluster upgrade-agent --show`",
        ));
    }
    let what = format!("cluster/{}/agent/{}", cluster.name, upgrade.image);
    tx.audit(&who.name(), "upgrade", &what, Some(&project.id)).await?;
    tx.commit().await?;
    api.inner.wake.commands_changed(&cluster.id);
    Ok((StatusCode::CREATED, Json(upgrade)))
}

/// Read the newest upgrade of the agent.
#[utoipa::path(
    get, path = "/projects/{project}/clusters/{cluster}/upgrade", tag = "clusters",
    params(("project" = String, Path, description = "name or id"), ("cluster" = String, Path, description = "name or id")),
    responses((status = 200, body = AgentUpgrade), (status = 404, body = Problem))
)]
pub async fn get_upgrade(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, cluster)): Named<(String, String)>,
) -> Result<Json<AgentUpgrade>, Failure> {
    let (_, cluster) = api.cluster(&who, Verb::See, (&project, &cluster)).await?;
    let newest = api.store().newest_upgrade(&cluster.id).await?;
    newest.map(Json).ok_or_else(|| Failure::not_found("upgrade"))
}
