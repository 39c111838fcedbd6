//! Projects, their members, and what each role may do.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Server, answer};

#[tokio::test]
async fn a_project_is_made_read_and_deleted() {
    let server = Server::start().await;
    let ann = server.user("ann").await;

    let made = ann
        .post("/projects", json!({"name": "shop"}))
        .await
        .expect(StatusCode::CREATED);
    let id = made["id"].as_str().unwrap();
    assert_eq!(ann.get("/projects/shop").await.expect(StatusCode::OK), made);
    assert_eq!(
        ann.get(&format!("/projects/{id}")).await.expect(StatusCode::OK),
        made
    );
    assert_eq!(
        ann.get("/projects/shop/members").await.body,
        json!([{"username": "ann", "role": "owner"}])
    );
    ann.post("/projects", json!({"name": "shop"}))
        .await
        .refused(StatusCode::CONFLICT);

    ann.delete("/projects/shop").await.expect(StatusCode::NO_CONTENT);
    ann.get("/projects/shop").await.refused(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn names_are_dns_labels_and_the_refusal_says_so() {
    let server = Server::start().await;
    let id = "0192f0c1-0000-7000-8000-000000000000";
    let bad = [
        "",
        "Shop",
        "my_shop",
        "a.b",
        "-a",
        "a-",
        "../etc",
        &"x".repeat(64),
        id,
    ];
    for name in bad {
        let refused = server.admin().post("/projects", json!({"name": name})).await;
        refused.refused(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let refused = server.admin().post("/projects", json!({"name": "my_shop"})).await;
    insta::assert_json_snapshot!("bad-name", refused.body);
}

#[tokio::test]
async fn a_project_that_is_not_empty_stays() {
    let server = Server::start().await;
    server.environment("shop").await;
    server
        .admin()
        .delete("/projects/shop")
        .await
        .refused(StatusCode::CONFLICT);
    server
        .admin()
        .delete("/projects/shop/clusters/east")
        .await
        .refused(StatusCode::CONFLICT);
    server
        .admin()
        .delete("/projects/shop/environments/staging")
        .await
        .expect(StatusCode::NO_CONTENT);
    server
        .admin()
        .delete("/projects/shop/clusters/east")
        .await
        .expect(StatusCode::NO_CONTENT);
    server
        .admin()
        .delete("/projects/shop")
        .await
        .expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_project_keeps_an_owner() {
    let server = Server::start().await;
    let ann = server.user("ann").await;
    server.user("bob").await;
    ann.post("/projects", json!({"name": "shop"}))
        .await
        .expect(StatusCode::CREATED);

    ann.delete("/projects/shop/members/ann")
        .await
        .refused(StatusCode::CONFLICT);
    ann.put("/projects/shop/members/ann", json!({"role": "viewer"}))
        .await
        .refused(StatusCode::CONFLICT);
    ann.put("/projects/shop/members/bob", json!({"role": "owner"}))
        .await
        .expect(StatusCode::OK);
    ann.delete("/projects/shop/members/ann")
        .await
        .expect(StatusCode::NO_CONTENT);
    ann.get("/projects/shop").await.refused(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn cluster_scoped_kinds_are_allowed_by_administrators() {
    let server = Server::start().await;
    let ann = server.user("ann").await;
    let new = json!({"name": "shop", "allowed_cluster_kinds": ["ClusterRole.rbac.authorization.k8s.io"]});
    ann.post("/projects", new.clone())
        .await
        .refused(StatusCode::FORBIDDEN);
    server
        .admin()
        .post("/projects", new)
        .await
        .expect(StatusCode::CREATED);
}

/// Every operation of a project, with the least role that may do it.
fn operations() -> Vec<(Method, &'static str, Value, &'static str)> {
    let sync = json!({"action": "sync"});
    vec![
        (Method::GET, "/projects/shop", Value::Null, "viewer"),
        (Method::GET, "/projects/shop/members", Value::Null, "viewer"),
        (Method::GET, "/projects/shop/clusters", Value::Null, "viewer"),
        (Method::GET, "/projects/shop/clusters/east", Value::Null, "viewer"),
        (Method::GET, "/projects/shop/environments", Value::Null, "viewer"),
        (
            Method::GET,
            "/projects/shop/environments/staging",
            Value::Null,
            "viewer",
        ),
        (
            Method::GET,
            "/projects/shop/environments/staging/history",
            Value::Null,
            "viewer",
        ),
        (
            Method::GET,
            "/projects/shop/environments/staging/errors",
            Value::Null,
            "viewer",
        ),
        (
            Method::GET,
            "/projects/shop/environments/staging/objects",
            Value::Null,
            "viewer",
        ),
        (
            Method::POST,
            "/projects/shop/environments/staging/commands",
            sync,
            "developer",
        ),
        (
            Method::POST,
            "/projects/shop/environments/staging/confirm-deletions",
            json!({"commit": "0"}),
            "developer",
        ),
        (
            Method::PUT,
            "/projects/shop/members/carl",
            json!({"role": "viewer"}),
            "owner",
        ),
        (
            Method::DELETE,
            "/projects/shop/members/carl",
            Value::Null,
            "owner",
        ),
        (
            Method::POST,
            "/projects/shop/clusters",
            json!({"name": "west"}),
            "owner",
        ),
        (
            Method::POST,
            "/projects/shop/clusters/east/activation",
            Value::Null,
            "owner",
        ),
        (
            Method::DELETE,
            "/projects/shop/clusters/west",
            Value::Null,
            "owner",
        ),
        (
            Method::POST,
            "/projects/shop/environments",
            json!({"name": "live", "cluster": "east"}),
            "owner",
        ),
        (
            Method::DELETE,
            "/projects/shop/environments/live",
            Value::Null,
            "owner",
        ),
        (Method::DELETE, "/projects/shop", Value::Null, "owner"),
    ]
}

#[tokio::test]
async fn each_role_may_do_its_part_and_no_more() {
    let server = Server::start().await;
    server.environment("shop").await;
    server.user("carl").await;
    let rank = |role: &str| {
        ["viewer", "developer", "owner"]
            .iter()
            .position(|r| *r == role)
            .unwrap()
    };
    for role in ["viewer", "developer", "owner"] {
        let person = server.member(&format!("a-{role}"), "shop", role).await;
        for (method, path, body, least) in operations() {
            let answer = answer(person.request(method.clone(), path).json(&body)).await;
            if rank(role) >= rank(least) {
                let done = answer.status.is_success() || answer.status == StatusCode::CONFLICT;
                assert!(done, "{role} {method} {path}: {} {}", answer.status, answer.body);
            } else {
                answer.refused(StatusCode::FORBIDDEN);
            }
        }
    }
}

#[tokio::test]
async fn who_is_no_member_gets_the_answer_of_a_project_that_is_not_there() {
    let server = Server::start().await;
    server.environment("shop").await;
    server.user("carl").await;
    let eve = server.user("eve").await;
    for (method, path, body, _) in operations() {
        let there = answer(eve.request(method.clone(), path).json(&body)).await;
        let path = path.replace("/shop", "/nothing");
        let nothing = answer(eve.request(method, &path).json(&body)).await;
        assert_eq!(there, nothing, "{path}");
        there.refused(StatusCode::NOT_FOUND);
    }
}
