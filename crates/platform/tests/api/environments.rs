//! Environments: made with their repository, read, removed.

use reqwest::StatusCode;
use serde_json::json;

use crate::server::{Server, masked};

const ENVIRONMENT: &str = "/projects/shop/environments/staging";

#[tokio::test]
async fn a_new_environment_has_a_repository_and_waits_for_the_agent() {
    let server = Server::start().await;
    let id = server.environment("shop").await;

    let environment = server.admin().get(ENVIRONMENT).await.expect(StatusCode::OK);

    let (http, ssh) = (server.platform.addresses().http, server.platform.addresses().ssh);
    assert_eq!(
        environment["repository"]["ssh_url"],
        format!("{ssh}/shop/staging.git")
    );
    assert_eq!(
        environment["repository"]["http_url"],
        format!("{http}/git/shop/staging.git")
    );
    assert!(
        server
            .data
            .path()
            .join(format!("repositories/{id}.git/HEAD"))
            .exists()
    );
    let changing = [
        "/id",
        "/created_ms",
        "/repository/ssh_url",
        "/repository/http_url",
    ];
    insta::assert_json_snapshot!("environment", masked(environment, &changing));
}

#[tokio::test]
async fn names_namespaces_and_branches_are_checked() {
    let server = Server::start().await;
    server.project("shop").await;
    let bad = [
        json!({"name": "Live", "cluster": "east"}),
        json!({"name": "live", "cluster": "west"}),
        json!({"name": "live", "cluster": "east", "namespace": "kube-system"}),
        json!({"name": "live", "cluster": "east", "namespace": "kube-public"}),
        json!({"name": "live", "cluster": "east", "namespace": "kube-node-lease"}),
        json!({"name": "live", "cluster": "east", "namespace": "default"}),
        json!({"name": "live", "cluster": "east", "namespace": "choerodon"}),
        json!({"name": "live", "cluster": "east", "namespace": "a/b"}),
        json!({"name": "live", "cluster": "east", "branch": "--upload-pack=x"}),
        json!({"name": "x".repeat(60), "cluster": "east"}),
    ];
    for new in bad {
        let refused = server.admin().post("/projects/shop/environments", new).await;
        refused.refused(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let repositories = std::fs::read_dir(server.data.path().join("repositories")).unwrap();
    assert_eq!(repositories.count(), 0);
}

#[tokio::test]
async fn a_namespace_belongs_to_one_environment_of_a_cluster() {
    let server = Server::start().await;
    server.environment("shop").await;
    let same_name = json!({"name": "staging", "cluster": "east", "namespace": "other"});
    let same_namespace = json!({"name": "live", "cluster": "east", "namespace": "shop-staging"});
    for new in [same_name, same_namespace] {
        server
            .admin()
            .post("/projects/shop/environments", new)
            .await
            .refused(StatusCode::CONFLICT);
    }
    let repositories = std::fs::read_dir(server.data.path().join("repositories")).unwrap();
    assert_eq!(repositories.count(), 1, "what was refused left nothing behind");
}

#[tokio::test]
async fn without_an_agent_it_is_gone_at_once() {
    let server = Server::start().await;
    let id = server.environment("shop").await;
    server
        .admin()
        .delete(ENVIRONMENT)
        .await
        .expect(StatusCode::NO_CONTENT);
    server
        .admin()
        .get(ENVIRONMENT)
        .await
        .refused(StatusCode::NOT_FOUND);
    assert!(!server.data.path().join(format!("repositories/{id}.git")).exists());
}

#[tokio::test]
async fn with_an_agent_it_is_removed_from_the_cluster_first() {
    let server = Server::start().await;
    let id = server.environment("shop").await;
    server
        .sql("UPDATE clusters SET epoch = 1, last_seen_ms = 5")
        .await;

    let path = format!("{ENVIRONMENT}?namespace=delete");
    let removing = server.admin().delete(&path).await.expect(StatusCode::ACCEPTED);

    assert_eq!(removing["phase"], "removing");
    let row = server
        .platform
        .store()
        .environment_row(&id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.removal, Some(c7n_platform::store::Removal::DeleteNamespace));
    let sync = json!({"action": "sync"});
    server
        .admin()
        .post(&format!("{ENVIRONMENT}/commands"), sync)
        .await
        .refused(StatusCode::CONFLICT);
    server
        .admin()
        .delete(&format!("{ENVIRONMENT}?namespace=eat"))
        .await
        .refused(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn without_its_agent_it_can_be_forgotten_and_what_stays_is_told() {
    let server = Server::start().await;
    let id = server.environment("shop").await;
    server
        .sql("UPDATE clusters SET epoch = 1, last_seen_ms = 5, connected = 1")
        .await;
    server
        .admin()
        .delete(ENVIRONMENT)
        .await
        .expect(StatusCode::ACCEPTED);
    let path = format!("{ENVIRONMENT}?forget=true");
    let refused = server.admin().delete(&path).await;
    refused.refused(StatusCode::CONFLICT);
    server.sql("UPDATE clusters SET connected = 0").await;

    let forgotten = server.admin().delete(&path).await.expect(StatusCode::OK);

    assert_eq!(
        forgotten,
        json!({"stays": [{
            "environment": "staging", "cluster": "east", "namespace": "shop-staging", "objects": 0, "last_seen_ms": 5,
        }]})
    );
    server
        .admin()
        .get(ENVIRONMENT)
        .await
        .refused(StatusCode::NOT_FOUND);
    assert!(!server.data.path().join(format!("repositories/{id}.git")).exists());
    assert_eq!(server.audited("forget").await, ["environment/staging"]);
}

#[tokio::test]
async fn converged_is_said_only_when_all_is_well() {
    let server = Server::start().await;
    server.environment("shop").await;
    let converged = async || server.admin().get(ENVIRONMENT).await.body["converged"].clone();
    assert_eq!(converged().await, false, "nothing was pushed");
    server
        .sql("UPDATE environments SET newest_commit = 'a', parsed_commit = 'a', applied_commit = 'a'")
        .await;
    assert_eq!(converged().await, true);
    for spoiler in [
        "newest_commit = 'b'",
        "parsed_commit = 'b'",
        "applied_commit = NULL",
        "file_errors = 1",
        "failed_objects = 1",
        r#"held = '{"commit":"a","count":1,"total":1,"objects":["x"]}'"#,
    ] {
        server.sql(&format!("UPDATE environments SET {spoiler}")).await;
        assert_eq!(converged().await, false, "{spoiler}");
        let well = "newest_commit = 'a', parsed_commit = 'a', applied_commit = 'a', file_errors = 0, \
                    failed_objects = 0, held = NULL";
        server.sql(&format!("UPDATE environments SET {well}")).await;
    }
    assert_eq!(converged().await, true);
}

#[tokio::test]
async fn held_deletions_are_confirmed_at_their_commit_only() {
    let server = Server::start().await;
    let id = server.environment("shop").await;
    let confirm = |commit: &str| {
        let body = json!({"commit": commit});
        let admin = server.admin();
        async move {
            admin
                .post(&format!("{ENVIRONMENT}/confirm-deletions"), body)
                .await
        }
    };
    confirm("a").await.refused(StatusCode::CONFLICT);
    server
        .sql(r#"UPDATE environments SET held = '{"commit":"a","count":9,"total":9,"objects":[]}'"#)
        .await;

    confirm("b").await.refused(StatusCode::CONFLICT);
    confirm("a").await.expect(StatusCode::OK);

    let (confirmed, generation): (String, i64) =
        sqlx::query_as("SELECT confirmed_commit, generation FROM environments WHERE id = $1")
            .bind(&id)
            .fetch_one(server.platform.store().readers())
            .await
            .unwrap();
    assert_eq!((confirmed.as_str(), generation), ("a", 1));
}

#[tokio::test]
async fn the_history_comes_in_pages_newest_first() {
    let server = Server::start().await;
    let id = server.environment("shop").await;
    for n in 0..7 {
        server
            .sql(&format!(
                "INSERT INTO commits VALUES ('{n}', '{id}', 'commit-{n}', 'ann', 'a@b', 'subject', {n}, {n}, 'wanted', \
                 '[{{\"change\":\"create\",\"group\":\"\",\"kind\":\"Pod\",\"name\":\"x\",\"file\":\"x.yaml\"}}]', NULL)"
            ))
            .await;
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("{ENVIRONMENT}/history?limit=3{after}");
        let page = server.admin().get(&path).await.expect(StatusCode::OK);
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        seen.extend(
            items
                .iter()
                .map(|i| i["commit"]["id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(
        seen,
        (0..7).rev().map(|n| format!("commit-{n}")).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn objects_and_errors_are_listed_and_health_is_counted() {
    let server = Server::start().await;
    let id = server.environment("shop").await;
    for (n, health) in ["healthy", "healthy", "degraded", "missing", "progressing"]
        .into_iter()
        .enumerate()
    {
        let kind = if n < 3 { "Pod" } else { "Service" };
        server
            .sql(&format!(
                "INSERT INTO object_states VALUES ('{id}', '', '{kind}', 'shop-staging', 'o-{n}', 'v1', 'u-{n}', '1', \
                 '{health}', NULL, '{{\"ready\":\"1/1\"}}', '[]', 1, 'a.yaml', 'c', x'00', 1, 2, 'web', 'crashes')"
            ))
            .await;
    }
    server
        .sql(&format!(
            "INSERT INTO environment_errors VALUES ('{id}', 'parsing', 'c', 'b.yaml', 3, 7, 'yaml-syntax', NULL, 'no')"
        ))
        .await;

    let environment = server.admin().get(ENVIRONMENT).await.expect(StatusCode::OK);
    let counts = json!({"healthy": 2, "progressing": 1, "degraded": 2, "suspended": 0, "unknown": 0});
    assert_eq!(environment["health"], counts);
    let list = server
        .admin()
        .get("/projects/shop/environments")
        .await
        .expect(StatusCode::OK);
    assert_eq!(list, json!([environment]), "the list and the one say the same");

    let first = server
        .admin()
        .get(&format!("{ENVIRONMENT}/objects?limit=4"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(first["items"].as_array().unwrap().len(), 4);
    let after = first["next"].as_str().unwrap();
    let rest = server
        .admin()
        .get(&format!("{ENVIRONMENT}/objects?limit=4&after={after}"))
        .await
        .body;
    assert_eq!(rest["items"][0]["name"], "o-4");
    assert_eq!(rest["next"], json!(null));
    let pods = server
        .admin()
        .get(&format!("{ENVIRONMENT}/objects?kind=Pod"))
        .await
        .body;
    assert_eq!(pods["items"].as_array().unwrap().len(), 3);
    insta::assert_json_snapshot!("object", pods["items"][0]);
    let errors = server
        .admin()
        .get(&format!("{ENVIRONMENT}/errors"))
        .await
        .expect(StatusCode::OK);
    insta::assert_json_snapshot!("errors", errors);
}
