//! A platform to ask, and people who ask it.

use std::path::Path;
use std::time::{Duration, Instant};

use c7n_platform::{Config, FirstRun, Platform, StartError};
use clap::Parser;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

pub struct Server {
    pub platform: Platform,
    pub data: TempDir,
    pub first_run: FirstRun,
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    config: Config,
}

pub fn config(data: &Path, more: &[&str]) -> Config {
    let data = data.to_str().unwrap();
    let flags = [
        "c7n-server",
        "--data-dir",
        data,
        "--listen",
        "127.0.0.1:0",
        "--ssh-listen",
        "127.0.0.1:0",
    ];
    Flags::parse_from(flags.iter().chain(more)).config
}

pub async fn start(data: &Path) -> (Platform, Option<FirstRun>) {
    start_as(&config(data, &[])).await
}

pub async fn start_as(config: &Config) -> (Platform, Option<FirstRun>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let begun = Instant::now();
    loop {
        let outcome = Platform::start(config).await;
        if !is_locked_still(&outcome, begun) {
            return outcome.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether to try again what needs the data folder for itself. A program that another test starts right now has the lock until
/// it is started: `fork` copies it, `exec` closes it.
pub fn is_locked_still<T>(outcome: &Result<T, StartError>, begun: Instant) -> bool {
    matches!(outcome, Err(StartError::InUse(_))) && begun.elapsed() < Duration::from_secs(20)
}

impl Server {
    pub async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let (platform, first_run) = start(data.path()).await;
        Self {
            platform,
            data,
            first_run: first_run.unwrap(),
        }
    }

    /// Stops it and starts it again on the same data folder.
    pub async fn restart(self) -> Self {
        self.platform.stop().await;
        let (platform, again) = start(self.data.path()).await;
        assert!(again.is_none(), "the administrator is made once");
        Self { platform, ..self }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.platform.http_addr())
    }

    pub fn admin(&self) -> Person {
        self.holder_of(&self.first_run.token)
    }

    pub fn holder_of(&self, token: &str) -> Person {
        Person {
            http: reqwest::Client::new(),
            base: format!("{}/api/v1", self.url()),
            token: Some(token.into()),
        }
    }

    pub fn stranger(&self) -> Person {
        Person {
            token: None,
            ..self.admin()
        }
    }

    /// A user who is a member of nothing.
    pub async fn user(&self, username: &str) -> Person {
        let password = "a long password";
        let new = json!({"username": username, "password": password});
        self.admin().post("/users", new).await.expect(StatusCode::CREATED);
        let login = json!({"username": username, "password": password});
        let token = self.stranger().post("/login", login).await.expect(StatusCode::OK);
        self.holder_of(token["token"].as_str().unwrap())
    }

    pub async fn member(&self, username: &str, project: &str, role: &str) -> Person {
        let person = self.user(username).await;
        let path = format!("/projects/{project}/members/{username}");
        self.admin()
            .put(&path, json!({"role": role}))
            .await
            .expect(StatusCode::OK);
        person
    }

    /// A project with a cluster `east`.
    pub async fn project(&self, name: &str) {
        self.admin()
            .post("/projects", json!({"name": name}))
            .await
            .expect(StatusCode::CREATED);
        let clusters = format!("/projects/{name}/clusters");
        self.admin()
            .post(&clusters, json!({"name": "east"}))
            .await
            .expect(StatusCode::CREATED);
    }

    /// An environment `staging` in such a project; its id.
    pub async fn environment(&self, project: &str) -> String {
        self.project(project).await;
        let new = json!({"name": "staging", "cluster": "east"});
        let path = format!("/projects/{project}/environments");
        let made = self.admin().post(&path, new).await.expect(StatusCode::CREATED);
        made["id"].as_str().unwrap().to_owned()
    }

    /// What the agent's or intake's part of the platform would write.
    pub async fn sql(&self, sql: &str) {
        let mut tx = self.platform.store().write().await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(tx.connection())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// What was written down of this verb, in order.
    pub async fn audited(&self, verb: &str) -> Vec<String> {
        sqlx::query_scalar("SELECT resource FROM audit WHERE verb = $1 ORDER BY id")
            .bind(verb)
            .fetch_all(self.platform.store().readers())
            .await
            .unwrap()
    }
}

#[derive(Clone)]
pub struct Person {
    pub http: reqwest::Client,
    pub base: String,
    pub token: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: StatusCode,
    pub content_type: Option<String>,
    pub body: Value,
}

impl Person {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        answer(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        answer(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        answer(self.request(Method::DELETE, path)).await
    }
}

pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let content_type = response
        .headers()
        .get("content-type")
        .map(|t| t.to_str().unwrap().to_owned());
    let status = response.status();
    let text = response.text().await.unwrap();
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    };
    Answer {
        status,
        content_type,
        body,
    }
}

impl Answer {
    /// The body, after a look at the status.
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The body of a refusal, which is always a problem that says what to do next.
    #[track_caller]
    pub fn refused(self, status: StatusCode) -> Value {
        assert_eq!(self.content_type.as_deref(), Some("application/problem+json"));
        for field in ["code", "title", "next"] {
            assert!(
                self.body[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field}: {}",
                self.body
            );
        }
        self.expect(status)
    }
}

/// The value without what differs from run to run.
pub fn masked(mut value: Value, pointers: &[&str]) -> Value {
    for pointer in pointers {
        *value.pointer_mut(pointer).unwrap() = json!("[masked]");
    }
    value
}
