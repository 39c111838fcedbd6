use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{Activation, Problem};

use crate::access::{Verb, tokens};
use crate::api::authenticate::SignedIn;
use crate::api::extract::Named;
use crate::api::{Api, Failure};
use crate::config::{Image, ImageVersion};
use crate::store::now_ms;

const VALID_MS: i64 = 24 * 60 * 60 * 1000;
/// Name of the chart and of its release.
const CHART: &str = "choerodon-cluster-agent";

/// Make a new activation: the command that joins the cluster.
///
/// The token in it is shown this once, works for one agent and for 24 hours; the one before it no longer works.
#[utoipa::path(
    post, path = "/projects/{project}/clusters/{cluster}/activation", tag = "clusters",
    params(("project" = String, Path, description = "name or id"), ("cluster" = String, Path, description = "name or id")),
    responses((status = 201, body = Activation), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub async fn activate_cluster(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, cluster)): Named<(String, String)>,
) -> Result<(StatusCode, Json<Activation>), Failure> {
    let (project, cluster) = api.cluster(&who, Verb::Manage, (&project, &cluster)).await?;
    let issued = tokens::issue();
    let expires_ms = now_ms() + VALID_MS;
    let mut tx = api.store().write().await?;
    tx.replace_activation(&cluster.id, &issued.hash, expires_ms)
        .await?;
    tx.audit(
        &who.name(),
        "activate",
        &format!("cluster/{}", cluster.name),
        Some(&project.id),
    )
    .await?;
    tx.commit().await?;
    let base = api.store().addresses().http;
    let connect = connect_url(&base);
    let choerodon_id = api.inner.installation_id.clone();
    let mut command = format!(
        "helm upgrade --install {CHART} {CHART} --repo {base}/charts --create-namespace --namespace choerodon \
         --set config.connect={connect} --set config.token={token} --set config.clusterId={id} \
         --set config.choerodonId={choerodon_id} --set rbac.create=true",
        token = issued.token,
        id = cluster.id,
    );
    if let Some(image) = &api.inner.agent_image {
        command.push_str(&image_values(image));
    }
    let activation = Activation {
        command,
        connect,
        token: issued.token,
        cluster_id: cluster.id,
        choerodon_id,
        expires_ms,
    };
    Ok((StatusCode::CREATED, Json(activation)))
}

/// The agent's image, as values of its chart.
fn image_values(image: &Image) -> String {
    let version = match &image.version {
        Some(ImageVersion::Tag(tag)) => format!(" --set image.tag={tag}"),
        Some(ImageVersion::Digest(digest)) => format!(" --set image.digest={digest}"),
        None => String::new(),
    };
    format!(" --set image.repository={}{version}", image.repository)
}

/// `http` becomes `ws`, `https` becomes `wss`.
fn connect_url(base: &str) -> String {
    match base.strip_prefix("http") {
        Some(rest) => format!("ws{rest}/agent/"),
        None => format!("{base}/agent/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_image_is_part_of_the_command_where_one_is_set() {
        let values = |text| image_values(&crate::config::image(text).unwrap());
        assert_eq!(
            values("r.example.com/agent:1"),
            " --set image.repository=r.example.com/agent --set image.tag=1"
        );
        assert_eq!(values("agent"), " --set image.repository=agent");
    }

    #[test]
    fn the_agent_dials_as_safely_as_people_browse() {
        assert_eq!(connect_url("http://127.0.0.1:8080"), "ws://127.0.0.1:8080/agent/");
        assert_eq!(
            connect_url("https://c7n.example.com"),
            "wss://c7n.example.com/agent/"
        );
    }
}
