//! The catalogue, and the chart repository that it is served as.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::chart::{Chart, web};
use crate::server::{Answer, Person, Server, answer, masked};

const VALUES: &str = "# how many\nreplicas: 1\n";
const SCHEMA: &str = "{\"type\":\"object\"}";

async fn publish(person: &Person, archive: Vec<u8>) -> Answer {
    let request = person.request(Method::POST, "/projects/shop/charts");
    answer(request.header("content-type", "application/gzip").body(archive)).await
}

async fn shop() -> Server {
    let server = Server::start().await;
    server.project("shop").await;
    server
        .admin()
        .post(
            "/projects/shop/apps",
            json!({"name": "web", "description": "The front"}),
        )
        .await
        .expect(StatusCode::CREATED);
    server
}

async fn token(server: &Server, project: &str) -> Value {
    let path = format!("/projects/{project}/chart-tokens");
    server
        .admin()
        .post(&path, json!({"name": "ci"}))
        .await
        .expect(StatusCode::CREATED)
}

/// What plain HTTP gives with this as the password.
async fn fetch(server: &Server, path: &str, password: Option<&str>, etag: Option<&str>) -> reqwest::Response {
    let mut request = reqwest::Client::new().get(format!("{}/charts/{path}", server.url()));
    if let Some(password) = password {
        request = request.basic_auth("anybody", Some(password));
    }
    if let Some(etag) = etag {
        request = request.header("if-none-match", etag);
    }
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_chart_is_listed_and_shown() {
    let server = shop().await;
    let admin = server.admin();
    let chart = Chart {
        name: "web",
        version: "1.2.0",
        values: VALUES,
        schema: Some(SCHEMA),
    };
    let made = publish(&admin, chart.archive()).await.expect(StatusCode::CREATED);
    let made = masked(made, &["/digest", "/size", "/created_ms"]);
    insta::assert_json_snapshot!("published", made);
    for version in ["1.10.0", "1.11.0-rc.1"] {
        publish(&admin, web(version, VALUES))
            .await
            .expect(StatusCode::CREATED);
    }

    let versions = admin
        .get("/projects/shop/apps/web/versions")
        .await
        .expect(StatusCode::OK);
    let names: Vec<&str> = versions
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["version"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["1.11.0-rc.1", "1.10.0", "1.2.0"]);
    let details = admin
        .get("/projects/shop/apps/web/versions/1.2.0")
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&details["values"], &details["schema"], &details["readme"]),
        (&json!(VALUES), &json!(SCHEMA), &json!("# web\n"))
    );
    let app = admin.get("/projects/shop/apps/web").await.expect(StatusCode::OK);
    let mut app = masked(app, &["/id", "/created_ms"]);
    let url = app["repo_url"].as_str().unwrap().replace(&server.url(), "URL");
    app["repo_url"] = json!(url);
    insta::assert_json_snapshot!("app", app);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_means_one_archive_for_ever() {
    let server = shop().await;
    let admin = server.admin();
    let archive = web("1.0.0", VALUES);
    publish(&admin, archive.clone()).await.expect(StatusCode::CREATED);
    publish(&admin, archive).await.expect(StatusCode::OK);

    let refused = publish(&admin, web("1.0.0", "replicas: 2\n")).await;
    insta::assert_json_snapshot!("another_archive", refused.refused(StatusCode::CONFLICT));
    let details = admin
        .get("/projects/shop/apps/web/versions/1.0.0")
        .await
        .expect(StatusCode::OK);
    assert_eq!(details["values"], VALUES);
    assert_eq!(archives(&server), 1, "what was refused is not kept");

    publish(&admin, web("1.0.1", VALUES))
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(archives(&server), 2);
    admin
        .delete("/projects/shop/apps/web")
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(archives(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_version_is_gone_from_disk_and_index() {
    let server = shop().await;
    let admin = server.admin();
    for version in ["1.0.0", "1.0.1"] {
        publish(&admin, web(version, VALUES))
            .await
            .expect(StatusCode::CREATED);
    }
    let token = token(&server, "shop").await;
    let password = token["token"].as_str();
    let before = fetch(&server, "shop/index.yaml", password, None).await;
    let etag = before.headers()["etag"].to_str().unwrap().to_owned();

    admin
        .delete("/projects/shop/apps/web/versions/1.0.0")
        .await
        .expect(StatusCode::NO_CONTENT);

    assert_eq!(archives(&server), 1);
    let index = fetch(&server, "shop/index.yaml", password, Some(&etag)).await;
    assert_eq!(index.status(), StatusCode::OK, "it is another index");
    let index = index.text().await.unwrap();
    assert!(index.contains("1.0.1") && !index.contains("1.0.0"), "{index}");
    let archive = fetch(&server, "shop/web-1.0.0.tgz", password, None).await;
    assert_eq!(archive.status(), StatusCode::NOT_FOUND);
    let audited = server.audited("delete").await;
    assert!(
        audited.iter().any(|it| it.contains("app/web@1.0.0")),
        "{audited:?}"
    );
    let told: Vec<String> = sqlx::query_scalar("SELECT change FROM events ORDER BY id")
        .fetch_all(server.platform.store().readers())
        .await
        .unwrap();
    let mut changes: Vec<Value> = told
        .iter()
        .map(|told| serde_json::from_str(told).unwrap())
        .collect();
    changes.retain(|change| change["type"] == "app");
    // Made, published twice, deleted from.
    assert_eq!(changes.len(), 4, "{changes:?}");
    assert_eq!(changes[3]["data"]["versions"], 1);

    // What is elsewhere is deleted elsewhere.
    let elsewhere = json!({"name": "elsewhere", "source": {"repo_url": "https://charts.example.com"}});
    admin
        .post("/projects/shop/apps", elsewhere)
        .await
        .expect(StatusCode::CREATED);
    let refused = admin.delete("/projects/shop/apps/elsewhere/versions/1.0.0").await;
    refused.refused(StatusCode::CONFLICT);
}

/// An upload that has begun and does not go on.
async fn stuck_upload(server: &Server, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.platform.http_addr()).await.unwrap();
    let head = format!(
        "POST /api/v1/projects/shop/charts HTTP/1.1\r\nHost: c7n\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/gzip\r\nContent-Length: 1000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn who_publishes_while_many_do_is_told_to_come_again() {
    let server = shop().await;
    let admin = server.admin();
    let token = admin.token.as_deref().unwrap();
    let publish = async || {
        let request = admin.request(Method::POST, "/projects/shop/charts");
        request.body(web("1.0.0", VALUES)).send().await.unwrap()
    };

    // Sixteen that were taken in fill it; which of these were is not known, since all of them race.
    let mut stuck = Vec::new();
    let refused = loop {
        let answer = publish().await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        assert!(stuck.len() < 200, "{}", answer.status());
        stuck.push(stuck_upload(&server, token).await);
    };
    assert!(stuck.len() >= 16, "{}", stuck.len());
    assert_eq!(refused.headers()["retry-after"], "5");
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "too-many");

    drop(stuck);
    let begun = Instant::now();
    while !publish().await.status().is_success() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "nobody is taken in again"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn archives(server: &Server) -> usize {
    let Ok(folders) = std::fs::read_dir(server.data.path().join("charts")) else {
        return 0;
    };
    folders
        .map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_chart_of_the_project_is_refused_in_words() {
    let server = shop().await;
    let admin = server.admin();
    let api = Chart {
        name: "api",
        version: "1.0.0",
        values: VALUES,
        schema: None,
    };
    publish(&admin, b"not a chart".to_vec())
        .await
        .refused(StatusCode::UNPROCESSABLE_ENTITY);
    let unknown = publish(&admin, api.archive())
        .await
        .refused(StatusCode::NOT_FOUND);
    assert!(
        unknown["next"].as_str().unwrap().contains("c7n app create api"),
        "{unknown}"
    );
    publish(&admin, vec![0; (20 << 20) + 1])
        .await
        .refused(StatusCode::PAYLOAD_TOO_LARGE);
    // Big bodies are for this operation alone.
    let other = admin
        .request(Method::POST, "/projects/shop/apps")
        .json(&json!({"name": "x", "description": "y".repeat(2 << 20)}));
    answer(other).await.refused(StatusCode::PAYLOAD_TOO_LARGE);

    let source = json!({"name": "redis", "source": {"repo_url": "ftp://x"}});
    admin
        .post("/projects/shop/apps", source)
        .await
        .refused(StatusCode::UNPROCESSABLE_ENTITY);
    for authorities in ["nothing in PEM", "-----BEGIN PRIVATE KEY-----"] {
        let source = json!({"repo_url": "https://x/y", "authorities": authorities});
        admin
            .post("/projects/shop/apps", json!({"name": "redis", "source": source}))
            .await
            .refused(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let source = json!({"name": "redis", "source": {"repo_url": "https://me:secret@x/y"}});
    let refused = admin.post("/projects/shop/apps", source).await;
    let refused = refused.refused(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!refused.to_string().contains("secret"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_what_it_should() {
    let server = shop().await;
    server
        .admin()
        .post("/projects", json!({"name": "bank"}))
        .await
        .expect(StatusCode::CREATED);
    let viewer = server.member("vic", "shop", "viewer").await;
    let developer = server.member("dev", "shop", "developer").await;
    let owner = server.member("own", "shop", "owner").await;
    let stranger = server.member("str", "bank", "owner").await;

    for person in [&viewer, &developer, &owner] {
        person.get("/projects/shop/apps").await.expect(StatusCode::OK);
    }
    stranger
        .get("/projects/shop/apps")
        .await
        .refused(StatusCode::NOT_FOUND);
    let archive = web("1.0.0", VALUES);
    publish(&viewer, archive.clone())
        .await
        .refused(StatusCode::FORBIDDEN);
    publish(&stranger, archive.clone())
        .await
        .refused(StatusCode::NOT_FOUND);
    publish(&developer, archive).await.expect(StatusCode::CREATED);
    let new = json!({"name": "api"});
    viewer
        .post("/projects/shop/apps", new.clone())
        .await
        .refused(StatusCode::FORBIDDEN);
    developer
        .post("/projects/shop/apps", new)
        .await
        .expect(StatusCode::CREATED);
    let outside = json!({"name": "redis", "source": {"repo_url": "https://charts.example.com"}});
    developer
        .post("/projects/shop/apps", outside.clone())
        .await
        .refused(StatusCode::FORBIDDEN);
    owner
        .post("/projects/shop/apps", outside)
        .await
        .expect(StatusCode::CREATED);
    for person in [&viewer, &developer] {
        person
            .delete("/projects/shop/apps/web")
            .await
            .refused(StatusCode::FORBIDDEN);
        person
            .get("/projects/shop/chart-tokens")
            .await
            .refused(StatusCode::FORBIDDEN);
    }
    owner
        .delete("/projects/shop/apps/web")
        .await
        .expect(StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_repository_is_read_with_a_token_of_its_own() {
    let server = shop().await;
    let archive = web("1.2.0", VALUES);
    publish(&server.admin(), archive.clone())
        .await
        .expect(StatusCode::CREATED);
    let issued = token(&server, "shop").await;
    let password = issued["token"].as_str().unwrap();

    let index = fetch(&server, "shop/index.yaml", Some(password), None).await;
    assert_eq!(index.status(), StatusCode::OK);
    let etag = index.headers()["etag"].to_str().unwrap().to_owned();
    let text = index.text().await.unwrap();
    let stable: String = text
        .lines()
        .filter(|line| {
            !["created:", "generated:", "digest:"]
                .iter()
                .any(|field| line.contains(field))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    insta::assert_snapshot!("index", stable);
    let again = fetch(&server, "shop/index.yaml", Some(password), Some(&etag)).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);

    let given = fetch(&server, "shop/web-1.2.0.tgz", Some(password), None).await;
    assert_eq!(given.status(), StatusCode::OK);
    assert_eq!(given.bytes().await.unwrap(), archive);
    publish(&server.admin(), web("1.3.0", VALUES))
        .await
        .expect(StatusCode::CREATED);
    let newer = fetch(&server, "shop/index.yaml", Some(password), Some(&etag)).await;
    assert_eq!(newer.status(), StatusCode::OK);
    for missing in ["shop/web-9.9.9.tgz", "shop/..%2fc7n.db", "shop/web"] {
        let answer = fetch(&server, missing, Some(password), None).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_the_project_does_not_read_its_charts() {
    let server = shop().await;
    server
        .admin()
        .post("/projects", json!({"name": "bank"}))
        .await
        .expect(StatusCode::CREATED);
    publish(&server.admin(), web("1.2.0", VALUES))
        .await
        .expect(StatusCode::CREATED);
    let viewer = server.member("vic", "shop", "viewer").await;
    let stranger = server.member("str", "bank", "owner").await;
    let own = token(&server, "shop").await;
    let foreign = token(&server, "bank").await;

    let status = async |password: Option<&str>| {
        let mut seen = Vec::new();
        for path in ["shop/index.yaml", "shop/web-1.2.0.tgz"] {
            seen.push(fetch(&server, path, password, None).await.status());
        }
        assert_eq!(seen[0], seen[1]);
        seen[0]
    };
    assert_eq!(status(None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(Some("c7n_wrong")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(own["token"].as_str()).await, StatusCode::OK);
    assert_eq!(status(viewer.token.as_deref()).await, StatusCode::OK);
    assert_eq!(status(stranger.token.as_deref()).await, StatusCode::NOT_FOUND);
    assert_eq!(status(foreign["token"].as_str()).await, StatusCode::NOT_FOUND);
    // A token of the repository opens nothing else.
    server
        .holder_of(own["token"].as_str().unwrap())
        .get("/projects/shop/apps")
        .await
        .refused(StatusCode::UNAUTHORIZED);

    let listed = server
        .admin()
        .get("/projects/shop/chart-tokens")
        .await
        .expect(StatusCode::OK);
    assert!(listed[0]["last_used_ms"].is_i64(), "{listed}");
    let path = format!(
        "/projects/shop/chart-tokens/{}",
        listed[0]["id"].as_str().unwrap()
    );
    server.admin().delete(&path).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(status(own["token"].as_str()).await, StatusCode::UNAUTHORIZED);
    let asked = fetch(&server, "shop/index.yaml", None, None).await;
    assert!(
        asked.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Basic")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_for_another_repository_is_never_seen_again() {
    let server = shop().await;
    let new = json!({"name": "redis", "source": {
        "repo_url": "https://charts.example.com/stable/", "username": "robot", "password": "hunter2-secret",
    }});
    let made = server
        .admin()
        .post("/projects/shop/apps", new)
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(
        made["source"],
        json!({
            "repo_url": "https://charts.example.com/stable", "chart_name": "redis", "username": "robot", "authorities": null,
        })
    );
    let mut files = vec![server.data.path().to_owned()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            let bytes = match std::fs::read(&path) {
                // The server is at work: a file of its own may go meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                read => read.unwrap(),
            };
            assert!(
                !bytes.windows(14).any(|window| window == b"hunter2-secret"),
                "{}",
                path.display()
            );
        }
    }
}
