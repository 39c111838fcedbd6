//! A project `shop` with an environment `staging`, whose agent is connected and knows of streams.

use c7n_link::messages::{OpenStream, Say};
use c7n_platform::Config;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::ends::{StreamEnd, join_agent, join_client};
use crate::fake_agent::{FakeAgent, dial, hello};
use crate::server::{Person, Server, config, start_as};
use crate::shop::{STAGING, activation};

pub struct Site {
    pub server: Server,
    /// Of the environment `staging`.
    pub id: String,
    /// Of the agent.
    pub credential: String,
    pub agent: FakeAgent,
}

pub async fn able_agent(server: &Server, token: &str, uid: &str) -> FakeAgent {
    let hello = c7n_link::messages::Hello {
        features: c7n_link::features(),
        ..hello(uid)
    };
    let socket = dial(server, token).await.unwrap();
    FakeAgent::introduce(socket, hello).await.unwrap()
}

/// A platform with other flags.
async fn serve(change: impl FnOnce(&mut Config)) -> Server {
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path(), &[]);
    change(&mut config);
    let (platform, first_run) = start_as(&config).await;
    Server {
        platform,
        data,
        first_run: first_run.unwrap(),
    }
}

impl Site {
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub async fn open_with(change: impl FnOnce(&mut Config)) -> Self {
        let server = serve(change).await;
        let id = server.environment("shop").await;
        let token = activation(&server, "shop", "east").await;
        let first = able_agent(&server, &token, "uid-east").await;
        let credential = first.welcome.credential.clone();
        let agent = able_agent(&server, &credential, "uid-east").await;
        Self {
            server,
            id,
            credential,
            agent,
        }
    }

    /// The answer to a wish that is granted.
    pub async fn opened(&self, who: &Person, wish: Value) -> (String, String) {
        let path = format!("{STAGING}/streams");
        let opened = who.post(&path, wish).await.expect(StatusCode::CREATED);
        let text = |field: &str| opened[field].as_str().unwrap().to_owned();
        assert_eq!(text("path"), "/api/v1/streams");
        (text("id"), text("ticket"))
    }

    /// What the platform asks of the agent.
    pub async fn called(&mut self, id: &str) -> OpenStream {
        self.agent
            .hear("the stream", |say| match say {
                Say::OpenStream(open) if open.stream_id == id => Some(open.clone()),
                _ => None,
            })
            .await
    }

    /// Both ends of a stream that runs.
    pub async fn joined(&mut self, who: &Person, wish: Value) -> Running {
        let (id, ticket) = self.opened(who, wish).await;
        let mut client = join_client(&self.server, &ticket).await.unwrap();
        let open = self.called(&id).await;
        let mut agent = join_agent(&self.server, &self.credential, &open.ticket)
            .await
            .unwrap();
        agent.peer(true).await;
        client.peer(true).await;
        Running {
            id,
            open,
            client,
            agent,
        }
    }

    /// From now on what is shown in terminals of the environment is recorded.
    pub async fn records(&self) {
        let settings = json!({"record_exec": true, "review_access": false, "idle_minutes": 30});
        let path = format!("{STAGING}/stream-settings");
        let changed = self.server.admin().put(&path, settings).await;
        changed.expect(StatusCode::OK);
    }

    /// The text of a session's recording.
    pub async fn recording(&self, id: &str) -> String {
        let path = format!("{STAGING}/streams/{id}/recording");
        let request = self.server.admin().request(Method::GET, &path);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/x-asciicast");
        answer.text().await.unwrap()
    }

    pub async fn record(&self, id: &str) -> Value {
        let page = self
            .server
            .admin()
            .get(&format!("{STAGING}/streams"))
            .await
            .expect(StatusCode::OK);
        let items = page["items"].as_array().unwrap();
        let found = items.iter().find(|record| record["id"] == id);
        found
            .unwrap_or_else(|| panic!("no record of {id}: {page}"))
            .clone()
    }

    /// The record, once the stream is over there.
    pub async fn ended_record(&self, id: &str) -> Value {
        crate::shop::eventually("the record is closed", async || {
            !self.record(id).await["ended_ms"].is_null()
        })
        .await;
        self.record(id).await
    }
}

pub struct Running {
    pub id: String,
    pub open: OpenStream,
    pub client: StreamEnd,
    pub agent: StreamEnd,
}

pub fn exec() -> Value {
    json!({"kind": "exec", "pod": "web-0", "command": ["sh", "-c", "id"], "tty": true, "stdin": true, "columns": 90, "rows": 30})
}

pub fn logs() -> Value {
    json!({"kind": "logs", "target": {"pod": "web-0"}, "follow": true})
}
