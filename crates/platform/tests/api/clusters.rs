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
    let known: Vec<String> = sqlx::query_scalar("SELECT token_hash FROM cluster_credentials")
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
