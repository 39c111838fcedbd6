//! Clusters and their activation.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::{Server, masked};

#[tokio::test]
async fn a_new_cluster_waits_for_its_agent() {
    let server = Server::start().await;
    server.project("shop").await;
    let cluster = server
        .admin()
        .get("/projects/shop/clusters/east")
        .await
        .expect(StatusCode::OK);
    insta::assert_json_snapshot!("cluster", masked(cluster, &["/id", "/created_ms"]));
    let again = server
        .admin()
        .post("/projects/shop/clusters", json!({"name": "east"}))
        .await;
    again.refused(StatusCode::CONFLICT);
}

#[tokio::test]
async fn an_activation_is_one_command_and_the_newest_counts() {
    let server = Server::start().await;
    server.project("shop").await;
    let admin = server.admin();
    let activate = || admin.post("/projects/shop/clusters/east/activation", Value::Null);

    let first = activate().await.expect(StatusCode::CREATED);
    let second = activate().await.expect(StatusCode::CREATED);

    let (token, id) = (
        second["token"].as_str().unwrap(),
        second["cluster_id"].as_str().unwrap(),
    );
    assert_ne!(first["token"], second["token"]);
    let connect = second["connect"].as_str().unwrap();
    assert_eq!(connect, format!("ws://{}/agent/", server.platform.http_addr()));
    let command = second["command"].as_str().unwrap();
    assert!(
        command.starts_with("helm upgrade --install choerodon-cluster-agent choerodon-cluster-agent --repo ")
    );
    let choerodon_id = second["choerodon_id"].as_str().unwrap();
    for part in [
        format!("config.connect={connect}"),
        format!("config.token={token}"),
        format!("config.clusterId={id}"),
        format!("config.choerodonId={choerodon_id}"),
        "rbac.create=true".to_owned(),
        "--create-namespace --namespace choerodon".to_owned(),
    ] {
        assert!(command.contains(&part), "{part} in {command}");
    }
    let known: Vec<String> =
        sqlx::query_scalar("SELECT token_hash FROM cluster_credentials WHERE used_ms IS NULL")
            .fetch_all(server.platform.store().readers())
            .await
            .unwrap();
    assert_eq!(known, [c7n_platform::access::tokens::hash(token)]);
}

#[tokio::test]
async fn a_cluster_that_will_not_come_back_is_forgotten_with_its_environments() {
    let server = Server::start().await;
    let id = server.environment("shop").await;
    server
        .sql("UPDATE clusters SET epoch = 1, last_seen_ms = 5")
        .await;
    let path = "/projects/shop/clusters/east";
    server.admin().delete(path).await.refused(StatusCode::CONFLICT);

    let forget = format!("{path}?forget=true");
    let forgotten = server.admin().delete(&forget).await.expect(StatusCode::OK);

    assert_eq!(forgotten["stays"][0]["namespace"], "shop-staging");
    server.admin().get(path).await.refused(StatusCode::NOT_FOUND);
    assert!(!server.data.path().join(format!("repositories/{id}.git")).exists());
    assert_eq!(
        server.audited("forget").await,
        ["environment/staging", "cluster/east"]
    );
}

#[tokio::test]
async fn the_agents_chart_is_served_to_anybody_as_a_chart_repository() {
    let server = Server::start().await;
    let get = async |path: &str| {
        let answer = reqwest::get(format!("{}{path}", server.url())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer
    };

    let index = get("/charts/index.yaml").await.text().await.unwrap();
    let file = index
        .lines()
        .find_map(|line| line.trim().strip_prefix("- choerodon-cluster-agent-"))
        .unwrap();
    let answer = get(&format!("/charts/choerodon-cluster-agent-{file}")).await;
    let tag = answer.headers()["etag"].clone();
    let archive = answer.bytes().await.unwrap();

    assert!(
        index.contains(&format!("digest: {}", c7n_pack::sha256(&archive))),
        "{index}"
    );
    assert!(archive.starts_with(&[0x1f, 0x8b]), "it is gzip");
    let again = reqwest::Client::new()
        .get(format!("{}/charts/index.yaml", server.url()))
        .header("if-none-match", tag)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let other = reqwest::get(format!("{}/charts/nothing.tgz", server.url()))
        .await
        .unwrap();
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
}
