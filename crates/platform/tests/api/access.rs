//! Signing in, tokens, keys; and what those learn who have none.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Server, answer};

#[tokio::test]
async fn a_wrong_token_learns_nothing() {
    let server = Server::start().await;
    server.environment("shop").await;
    let paths = [
        "/me",
        "/projects",
        "/projects/shop",
        "/projects/nothing",
        "/projects/shop/environments/staging",
        "/events",
        "/no/such/address",
        "/users",
    ];
    let revoked = server.admin().post("/me/tokens", json!({"name": "x"})).await.body;
    let listed = server.admin().get("/me/tokens").await.body;
    let id = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["name"] == "x")
        .unwrap()["id"]
        .as_str()
        .unwrap();
    server
        .admin()
        .delete(&format!("/me/tokens/{id}"))
        .await
        .expect(StatusCode::NO_CONTENT);

    let mut answers = Vec::new();
    for path in paths {
        for token in [None, Some(""), Some("c7n_wrong"), revoked["token"].as_str()] {
            let person = crate::server::Person {
                token: token.map(Into::into),
                ..server.admin()
            };
            answers.push(person.get(path).await);
            answers.push(person.delete(path).await);
            answers.push(person.post(path, json!({"name": "x"})).await);
        }
    }

    insta::assert_json_snapshot!("unauthorized", answers[0].body);
    for one in answers {
        one.clone().refused(StatusCode::UNAUTHORIZED);
        assert_eq!(one.body, server.stranger().get("/me").await.body);
    }
}

#[tokio::test]
async fn a_token_in_the_address_is_no_token() {
    let server = Server::start().await;
    let path = format!("/me?token={0}&access_token={0}", server.first_run.token);
    server
        .stranger()
        .get(&path)
        .await
        .refused(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_one_answer() {
    let server = Server::start().await;
    let wrong = server
        .stranger()
        .post("/login", json!({"username": "admin", "password": "wrong"}))
        .await;
    let unknown = server
        .stranger()
        .post("/login", json!({"username": "nobody", "password": "wrong"}))
        .await;
    assert_eq!(
        wrong.clone().refused(StatusCode::UNAUTHORIZED),
        unknown.refused(StatusCode::UNAUTHORIZED)
    );
}

#[tokio::test]
async fn guessing_passwords_has_to_wait() {
    let server = Server::start().await;
    let stranger = server.stranger();
    let guess = || stranger.post("/login", json!({"username": "admin", "password": "guess"}));
    for _ in 0..10 {
        guess().await.refused(StatusCode::UNAUTHORIZED);
    }
    let right = json!({"username": "admin", "password": server.first_run.password});
    let request = server.stranger().request(Method::POST, "/login").json(&right);
    let response = request.send().await.unwrap();
    assert_eq!(
        response.status(),
        StatusCode::TOO_MANY_REQUESTS,
        "even the right one, for a while"
    );
    assert!(response.headers().contains_key("retry-after"));
    server.admin().get("/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn tokens_are_issued_listed_and_revoked() {
    let server = Server::start().await;
    let ann = server.user("ann").await;

    let issued = ann
        .post("/me/tokens", json!({"name": "laptop"}))
        .await
        .expect(StatusCode::CREATED);
    let listed = ann.get("/me/tokens").await.expect(StatusCode::OK);
    let secret = issued["token"].as_str().unwrap();
    assert!(secret.starts_with("c7n_"));
    assert!(!listed.to_string().contains(secret), "a token is shown once");
    server.holder_of(secret).get("/me").await.expect(StatusCode::OK);

    let id = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["name"] == "laptop")
        .unwrap()["id"]
        .clone();
    let path = format!("/me/tokens/{}", id.as_str().unwrap());
    server.admin().delete(&path).await.refused(StatusCode::NOT_FOUND);
    ann.delete(&path).await.expect(StatusCode::NO_CONTENT);
    server
        .holder_of(secret)
        .get("/me")
        .await
        .refused(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_expired_token_is_no_token() {
    let server = Server::start().await;
    let past = json!({"name": "x", "expires_ms": 1});
    server
        .admin()
        .post("/me/tokens", past)
        .await
        .refused(StatusCode::UNPROCESSABLE_ENTITY);
    let issued = server
        .admin()
        .post("/me/tokens", json!({"name": "x"}))
        .await
        .expect(StatusCode::CREATED);
    server
        .sql("UPDATE api_tokens SET expires_ms = 1 WHERE name = 'x'")
        .await;
    server
        .holder_of(issued["token"].as_str().unwrap())
        .get("/me")
        .await
        .refused(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn keys_belong_to_one_person() {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEexampleEXAMPLEexampleEXAMPLEexample0 ann";
    let server = Server::start().await;
    let (ann, bob) = (server.user("ann").await, server.user("bob").await);
    let new = json!({"title": "laptop", "public_key": KEY});

    let key = ann
        .post("/me/keys", new.clone())
        .await
        .expect(StatusCode::CREATED);
    assert!(key["fingerprint"].as_str().unwrap().starts_with("SHA256:"));
    bob.post("/me/keys", new.clone())
        .await
        .refused(StatusCode::CONFLICT);
    let path = format!("/me/keys/{}", key["id"].as_str().unwrap());
    bob.delete(&path).await.refused(StatusCode::NOT_FOUND);
    assert_eq!(ann.get("/me/keys").await.body, json!([key]));

    ann.delete(&path).await.expect(StatusCode::NO_CONTENT);
    bob.post("/me/keys", new).await.expect(StatusCode::CREATED);
    let private = json!({"title": "x", "public_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret"});
    let refused = ann
        .post("/me/keys", private)
        .await
        .refused(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!refused.to_string().contains("secret"));
}

#[tokio::test]
async fn nobody_takes_the_key_of_an_agent() {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEexampleEXAMPLEexampleEXAMPLEexample0";
    let server = Server::start().await;
    server.environment("shop").await;
    let ann = server.user("ann").await;
    let new = json!({"title": "laptop", "public_key": KEY});
    let key = ann
        .post("/me/keys", new.clone())
        .await
        .expect(StatusCode::CREATED);
    ann.delete(&format!("/me/keys/{}", key["id"].as_str().unwrap()))
        .await
        .expect(StatusCode::NO_CONTENT);

    let fingerprint = key["fingerprint"].as_str().unwrap();
    server
        .sql(&format!(
            "UPDATE environments SET agent_fingerprint = '{fingerprint}'"
        ))
        .await;

    ann.post("/me/keys", new).await.refused(StatusCode::CONFLICT);
}

#[tokio::test]
async fn only_administrators_keep_users() {
    let server = Server::start().await;
    let ann = server.user("ann").await;
    let new = json!({"username": "eve", "password": "a long password"});
    ann.get("/users").await.refused(StatusCode::FORBIDDEN);
    ann.post("/users", new.clone())
        .await
        .refused(StatusCode::FORBIDDEN);
    server
        .admin()
        .post("/users", new.clone())
        .await
        .expect(StatusCode::CREATED);
    server
        .admin()
        .post("/users", new)
        .await
        .refused(StatusCode::CONFLICT);
    let bad = [
        ("e v", "a long password"),
        ("", "a long password"),
        ("eva", "short"),
    ];
    for (username, password) in bad {
        let new = json!({"username": username, "password": password});
        server
            .admin()
            .post("/users", new)
            .await
            .refused(StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_not_quoted() {
    let server = Server::start().await;
    let bodies = [
        r#"{"username": "canary-secret", "password": 7}"#,
        "canary-secret",
        r#"{"password": "canary-secret"}"#,
    ];
    for body in bodies {
        let request = server.stranger().request(Method::POST, "/login");
        let refused = answer(request.header("content-type", "application/json").body(body)).await;
        assert!(refused.status.is_client_error());
        assert!(
            !refused.body.to_string().contains("canary-secret"),
            "{}",
            refused.body
        );
        assert!(refused.body["next"].is_string());
    }
    let refused = answer(server.stranger().request(Method::POST, "/login").body("{}")).await;
    refused.refused(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let big = json!({"username": "x".repeat(2 << 20), "password": "x"});
    server
        .stranger()
        .post("/login", big)
        .await
        .refused(StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn each_change_is_in_the_audit_log_and_no_secret_is() {
    let server = Server::start().await;
    server.environment("shop").await;
    let activation = server
        .admin()
        .post("/projects/shop/clusters/east/activation", Value::Null)
        .await
        .body;

    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT actor, verb, resource FROM audit ORDER BY id")
            .fetch_all(server.platform.store().readers())
            .await
            .unwrap();
    let lines: Vec<String> = rows
        .into_iter()
        .map(|(actor, verb, what)| format!("{actor} {verb} {what}"))
        .collect();
    insta::assert_json_snapshot!("audit", lines);

    let token = activation["token"].as_str().unwrap();
    let hashes: Vec<String> = sqlx::query_scalar("SELECT token_hash FROM cluster_credentials")
        .fetch_all(server.platform.store().readers())
        .await
        .unwrap();
    assert!(
        hashes.len() == 1 && !hashes[0].contains(token),
        "only the hash is kept"
    );
}
