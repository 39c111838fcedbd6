//! The very first start, the ones after it, and the end.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use c7n_platform::Platform;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::{Server, config, is_locked_still, start, start_as};

#[tokio::test]
async fn the_first_start_makes_an_administrator_and_later_ones_say_nothing() {
    let server = Server::start().await;
    let login = json!({"username": server.first_run.username, "password": server.first_run.password});

    server.admin().get("/me").await.expect(StatusCode::OK);
    server
        .stranger()
        .post("/login", login.clone())
        .await
        .expect(StatusCode::OK);

    let server = server.restart().await;
    server.admin().get("/me").await.expect(StatusCode::OK);
    server
        .stranger()
        .post("/login", login)
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn the_first_run_file_is_for_its_owners_eyes_and_works() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("first-run.json"));
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    let config = config(&data, &["--first-run-file", file.to_str().unwrap()]);
    let (platform, first_run) = Platform::start(&config).await.unwrap();

    let written: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(written["token"], first_run.unwrap().token);
    assert_eq!(written["url"], platform.addresses().http);
    assert_eq!(written["ssh_url"], platform.addresses().ssh);
    let me = reqwest::Client::new()
        .get(format!("{}/api/v1/me", written["url"].as_str().unwrap()))
        .bearer_auth(written["token"].as_str().unwrap());
    assert_eq!(me.send().await.unwrap().status(), StatusCode::OK);

    std::fs::remove_file(&file).unwrap();
    platform.stop().await;
    let (platform, again) = start_as(&config).await;
    assert!(again.is_none() && !file.exists());
    platform.stop().await;
}

#[tokio::test]
async fn what_cannot_be_handed_over_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("missing/first-run.json");
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    let refused = Platform::start(&config(
        folder.path(),
        &["--first-run-file", nowhere.to_str().unwrap()],
    ))
    .await;
    assert!(refused.err().unwrap().to_string().contains("--first-run-file"));

    let (platform, first_run) = start(folder.path()).await;
    assert!(first_run.is_some());
    platform.stop().await;
}

#[tokio::test]
async fn two_servers_do_not_share_a_data_folder() {
    let server = Server::start().await;
    let second = Platform::start(&config(server.data.path(), &[])).await;
    assert!(second.err().unwrap().to_string().contains("another c7n-server"));
}

#[tokio::test]
async fn a_lost_password_is_replaced_while_the_server_is_stopped() {
    let Server {
        platform,
        data,
        first_run,
    } = Server::start().await;
    platform.stop().await;

    let config = config(data.path(), &[]);
    let begun = Instant::now();
    let password = loop {
        let outcome = c7n_platform::reset_password(&config, "admin").await;
        if !is_locked_still(&outcome, begun) {
            break outcome.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };

    let (platform, _) = start(data.path()).await;
    let server = Server {
        platform,
        data,
        first_run,
    };
    let login = |password: &str| json!({"username": "admin", "password": password});
    server
        .stranger()
        .post("/login", login(&password))
        .await
        .expect(StatusCode::OK);
    let old = server.first_run.password.clone();
    server
        .stranger()
        .post("/login", login(&old))
        .await
        .refused(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let server = Server::start().await;
    server.environment("shop").await;
    let paths = [
        "/projects",
        "/projects/shop/clusters",
        "/projects/shop/members",
        "/users",
    ];
    let mut before = Vec::new();
    for path in paths {
        before.push(server.admin().get(path).await.expect(StatusCode::OK));
    }
    let activation = server
        .admin()
        .post("/projects/shop/clusters/east/activation", Value::Null)
        .await;

    let server = server.restart().await;

    for (path, before) in paths.into_iter().zip(before) {
        assert_eq!(server.admin().get(path).await.expect(StatusCode::OK), before);
    }
    let again = server
        .admin()
        .post("/projects/shop/clusters/east/activation", Value::Null)
        .await;
    assert_eq!(
        again.body["choerodon_id"], activation.body["choerodon_id"],
        "the installation's id is stable"
    );
    let environments = server
        .admin()
        .get("/projects/shop/environments")
        .await
        .expect(StatusCode::OK);
    assert_eq!(environments[0]["name"], "staging");
}

#[tokio::test]
async fn those_who_watch_the_process_need_no_token() {
    let server = Server::start().await;
    for path in ["/healthz", "/readyz"] {
        let answer = reqwest::get(format!("{}{path}", server.url())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
}
