//! A project `shop` with a cluster `east`, an environment `staging`, and an agent that is connected.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::fake_agent::{FakeAgent, PATIENCE};
use crate::repository::Clone;
use crate::server::Server;

pub const STAGING: &str = "/projects/shop/environments/staging";
pub const EAST: &str = "/projects/shop/clusters/east";

pub struct Shop {
    pub server: Server,
    /// Of the environment `staging`.
    pub id: String,
    /// Of the agent.
    pub credential: String,
    pub agent: FakeAgent,
}

impl Shop {
    pub async fn open() -> Self {
        let server = Server::start().await;
        let id = server.environment("shop").await;
        let token = activation(&server, "shop", "east").await;
        let first = FakeAgent::connect(&server, &token).await;
        let credential = first.welcome.credential.clone();
        let agent = FakeAgent::connect(&server, &credential).await;
        Self {
            server,
            id,
            credential,
            agent,
        }
    }

    pub async fn reconnect(self) -> Self {
        let agent = FakeAgent::connect(&self.server, &self.credential).await;
        Self { agent, ..self }
    }

    /// Stops the platform, does something, and starts it on the same data.
    pub async fn restart(self, meanwhile: impl FnOnce()) -> Self {
        let Self {
            server,
            id,
            credential,
            agent,
        } = self;
        agent.cut();
        let Server {
            platform,
            data,
            first_run,
        } = server;
        platform.stop().await;
        meanwhile();
        let (platform, _) = crate::server::start(data.path()).await;
        let server = Server {
            platform,
            data,
            first_run,
        };
        let agent = FakeAgent::connect(&server, &credential).await;
        Self {
            server,
            id,
            credential,
            agent,
        }
    }

    pub async fn clone(&self) -> Clone {
        Clone::new(&self.server, &self.id).await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.server.admin().get(path).await.expect(StatusCode::OK)
    }

    pub async fn staging(&self) -> Value {
        self.get(STAGING).await
    }

    pub async fn cluster(&self) -> Value {
        self.get(EAST).await
    }

    /// Names of the objects that the platform shows.
    pub async fn objects(&self) -> Vec<String> {
        let page = self.get(&format!("{STAGING}/objects?limit=500")).await;
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|object| object["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// A cluster `name` of its own with an environment, in another project; id of the environment.
    pub async fn neighbour(&self) -> String {
        self.server.environment("bank").await
    }
}

pub async fn activation(server: &Server, project: &str, cluster: &str) -> String {
    let path = format!("/projects/{project}/clusters/{cluster}/activation");
    let made = server
        .admin()
        .post(&path, json!({}))
        .await
        .expect(StatusCode::CREATED);
    made["token"].as_str().unwrap().to_owned()
}

/// Waits until it is so.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
