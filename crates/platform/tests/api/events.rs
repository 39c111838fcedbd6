//! The stream of changes.

use std::time::Duration;

use c7n_api::{Event, EventChange};
use futures_util::StreamExt;
use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use crate::server::{Person, Server};

const PATIENCE: Duration = Duration::from_secs(30);

struct Stream {
    bytes: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

impl Stream {
    async fn open(person: &Person, query: &str) -> Self {
        let response = person
            .request(Method::GET, &format!("/events{query}"))
            .send()
            .await
            .unwrap();
        Self::from(response)
    }

    fn from(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self {
            bytes: Box::pin(response.bytes_stream()),
            text: String::new(),
        }
    }

    /// The next block; `None` when the stream has ended.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Some(block);
            }
            let bytes = tokio::time::timeout(PATIENCE, self.bytes.next())
                .await
                .expect("an event in time")?;
            self.text.push_str(std::str::from_utf8(&bytes.ok()?).unwrap());
        }
    }

    async fn event(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            if let Some(data) = block.lines().find_map(|line| line.strip_prefix("data: ")) {
                let event: Event = serde_json::from_str(data).unwrap();
                assert!(block.contains(&format!("id: {}", event.id)), "{block}");
                return Some(event);
            }
        }
    }

    /// Nothing more within a moment.
    async fn silent(&mut self) {
        assert!(
            tokio::time::timeout(Duration::from_millis(300), self.event())
                .await
                .is_err()
        );
    }
}

async fn cluster(server: &Server, project: &str, name: &str) {
    let path = format!("/projects/{project}/clusters");
    server
        .admin()
        .post(&path, json!({"name": name}))
        .await
        .expect(StatusCode::CREATED);
}

fn cluster_name(event: &Event) -> &str {
    match &event.change {
        EventChange::Cluster(cluster) => &cluster.name,
        other => panic!("not a cluster: {other:?}"),
    }
}

#[tokio::test]
async fn changes_arrive_and_a_reader_resumes_where_it_was() {
    let server = Server::start().await;
    server.project("shop").await;
    let mut stream = Stream::open(&server.admin(), "").await;
    assert!(
        stream.block().await.unwrap().contains("id: "),
        "where the stream begins is said first"
    );
    cluster(&server, "shop", "one").await;
    let one = stream.event().await.unwrap();
    assert_eq!(cluster_name(&one), "one");
    drop(stream);
    cluster(&server, "shop", "two").await;
    cluster(&server, "shop", "three").await;

    let server = server.restart().await;
    let admin = server.admin();
    let resumed = admin
        .request(Method::GET, "/events?since=0")
        .header("last-event-id", one.id.to_string());
    let mut stream = Stream::from(resumed.send().await.unwrap());

    assert_eq!(cluster_name(&stream.event().await.unwrap()), "two");
    assert_eq!(cluster_name(&stream.event().await.unwrap()), "three");
    cluster(&server, "shop", "four").await;
    assert_eq!(cluster_name(&stream.event().await.unwrap()), "four");
    let mut stream = Stream::open(&server.admin(), &format!("?since={}", one.id)).await;
    assert_eq!(cluster_name(&stream.event().await.unwrap()), "two");
}

#[tokio::test]
async fn what_is_no_longer_kept_is_a_reset_and_the_stream_goes_on() {
    let server = Server::start().await;
    server.project("shop").await;
    for n in 0..5 {
        cluster(&server, "shop", &format!("c-{n}")).await;
    }
    server.sql("DELETE FROM events WHERE id < 4").await;
    for query in ["?since=1", "?since=999999"] {
        let mut stream = Stream::open(&server.admin(), query).await;
        let reset = stream.event().await.unwrap();
        assert_eq!(reset.change, EventChange::Reset);
        let name = format!("after-{}", &query[7..]);
        cluster(&server, "shop", &name).await;
        let next = stream.event().await.unwrap();
        assert_eq!(cluster_name(&next), name);
        assert!(next.id > reset.id);
    }
    let mut stream = Stream::open(&server.admin(), "?since=3").await;
    assert_ne!(
        stream.event().await.unwrap().change,
        EventChange::Reset,
        "3 was the last that is gone"
    );
}

#[tokio::test]
async fn a_reader_sees_only_what_they_may() {
    let server = Server::start().await;
    server.project("shop").await;
    server.project("bank").await;
    let ann = server.member("ann", "shop", "viewer").await;
    let mut stream = Stream::open(&ann, "?since=0").await;
    assert_eq!(cluster_name(&stream.event().await.unwrap()), "east");

    cluster(&server, "bank", "vault").await;
    cluster(&server, "shop", "till").await;

    assert_eq!(cluster_name(&stream.event().await.unwrap()), "till");
    let hidden = ann
        .get("/events?project=bank")
        .await
        .refused(StatusCode::NOT_FOUND);
    assert_eq!(ann.get("/events?project=nothing").await.body, hidden);

    server
        .admin()
        .delete("/projects/shop/members/ann")
        .await
        .expect(StatusCode::NO_CONTENT);
    cluster(&server, "shop", "late").await;
    stream.silent().await;
}

#[tokio::test]
async fn a_stream_is_narrowed_to_a_project_or_an_environment() {
    let server = Server::start().await;
    let staging = server.environment("shop").await;
    server.project("bank").await;
    let mut shop = Stream::open(&server.admin(), "?since=0&project=shop").await;
    assert_eq!(cluster_name(&shop.event().await.unwrap()), "east");
    let made = shop.event().await.unwrap();
    assert_eq!(made.environment.as_deref(), Some(staging.as_str()));
    shop.silent().await;

    let mut one = Stream::open(&server.admin(), "?since=0&project=shop&environment=staging").await;
    assert_eq!(one.event().await.unwrap(), made);
    let commands = "/projects/shop/environments/staging/commands";
    server
        .admin()
        .post(commands, json!({"action": "sync"}))
        .await
        .expect(StatusCode::CREATED);
    assert!(matches!(
        one.event().await.unwrap().change,
        EventChange::Command(_)
    ));
    server
        .admin()
        .delete("/projects/shop/environments/staging")
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(
        one.event().await.unwrap().change,
        EventChange::EnvironmentDeleted { id: staging }
    );
}

#[tokio::test]
async fn a_revoked_token_ends_its_stream() {
    let server = Server::start().await;
    server.project("shop").await;
    let ann = server.member("ann", "shop", "viewer").await;
    let mut stream = Stream::open(&ann, "").await;
    stream.block().await.unwrap();
    let tokens = ann.get("/me/tokens").await.body;
    let path = format!("/me/tokens/{}", tokens[0]["id"].as_str().unwrap());
    ann.delete(&path).await.expect(StatusCode::NO_CONTENT);

    cluster(&server, "shop", "late").await;

    assert_eq!(stream.event().await, None);
}

#[tokio::test]
async fn open_streams_do_not_hold_up_the_end() {
    let server = Server::start().await;
    let mut stream = Stream::open(&server.admin(), "").await;
    stream.block().await.unwrap();
    let began = std::time::Instant::now();
    server.platform.stop().await;
    // It waits ten seconds for what does not end.
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

#[tokio::test]
async fn only_so_many_events_are_kept() {
    let server = Server::start().await;
    server.project("shop").await;
    server
        .sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20100) \
             INSERT INTO events (time_ms, change) SELECT 9999999999999, '{\"type\":\"reset\"}' FROM n",
        )
        .await;
    let store = server.platform.store();
    let count = async || -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM events")
            .fetch_one(store.readers())
            .await
            .unwrap()
    };
    store.trim_events().await.unwrap();
    assert_eq!(count().await, 20_000);
    server.sql("UPDATE events SET time_ms = 1").await;
    store.trim_events().await.unwrap();
    assert_eq!(
        count().await,
        1,
        "the newest stays: it remembers where the ids are"
    );
}
