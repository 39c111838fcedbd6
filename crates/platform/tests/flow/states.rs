//! What an agent says of its objects: stored before it is acknowledged, compared by digests after a break.

use std::time::{Duration, Instant};

use c7n_link::digest::{DigestTable, KindKey};
use c7n_link::messages::{
    DetailRequest, Health, KindDetail, ObjectDigest, ObjectKey, ObjectRequest, ObjectState, Say,
};
use serde_json::json;
use tokio::time::timeout;

use crate::fake_agent::PATIENCE;
use crate::shop::{Shop, eventually};

fn state(environment: &str, name: &str, health: Health) -> ObjectState {
    ObjectState {
        environment_id: environment.into(),
        key: ObjectKey {
            kind: "ConfigMap".into(),
            namespace: "shop-staging".into(),
            name: name.into(),
            ..ObjectKey::default()
        },
        version: "v1".into(),
        uid: format!("uid-{name}"),
        resource_version: "7".into(),
        health: health.into(),
        message: "fine".into(),
        summary: [("keys".to_owned(), "3".to_owned())].into(),
        managed: true,
        file: "web.yaml".into(),
        digest: format!("digest of {name}").into_bytes().into(),
        created_ms: 1,
        ..ObjectState::default()
    }
}

fn healthy(environment: &str, name: &str) -> Say {
    Say::State(state(environment, name, Health::Healthy))
}

fn set(environment: &str) -> KindKey {
    KindKey {
        environment_id: environment.into(),
        group: String::new(),
        kind: "ConfigMap".into(),
    }
}

/// What a cluster that has these would say of itself.
fn digests(environment: &str, names: &[&str]) -> Say {
    let mut table = DigestTable::default();
    for name in names {
        let digest = format!("digest of {name}");
        table.insert(&set(environment), "shop-staging", name, digest.as_bytes());
    }
    Say::Digests(table.message())
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_stored_and_shown_and_gone_when_their_objects_are() {
    let mut shop = Shop::open().await;
    let id = shop.id.clone();
    for name in ["a", "b"] {
        shop.agent.post(healthy(&id, name));
    }
    shop.agent.settled().await;

    let page = shop.get("/projects/shop/environments/staging/objects").await;
    let first = &page["items"][0];
    assert_eq!(first["name"], "a");
    assert_eq!(first["namespace"], "shop-staging");
    assert_eq!(first["summary"], json!({"keys": "3"}));
    assert_eq!(first["file"], "web.yaml");
    assert_eq!(first["managed"], true);
    assert_eq!(shop.staging().await["health"]["healthy"], 2);

    shop.agent.post(Say::State(state(&id, "a", Health::Degraded)));
    shop.agent.post(Say::State(ObjectState {
        deleted: true,
        ..state(&id, "b", Health::Unknown)
    }));
    shop.agent.settled().await;

    assert_eq!(shop.objects().await, ["a"]);
    let staging = shop.staging().await;
    assert_eq!(
        (&staging["health"]["degraded"], &staging["health"]["healthy"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_event_and_the_counts_one_more() {
    let mut shop = Shop::open().await;
    let id = shop.id.clone();
    let newest = async |shop: &Shop| -> i64 {
        sqlx::query_scalar("SELECT MAX(id) FROM events")
            .fetch_one(shop.server.platform.store().readers())
            .await
            .unwrap()
    };
    let before = newest(&shop).await;
    for number in 0..100 {
        shop.agent.post(healthy(&id, &format!("object-{number}")));
    }
    shop.agent.settled().await;

    let changes: Vec<String> = sqlx::query_scalar("SELECT change FROM events WHERE id > $1 ORDER BY id")
        .bind(before)
        .fetch_all(shop.server.platform.store().readers())
        .await
        .unwrap();
    let kinds: Vec<serde_json::Value> = changes
        .iter()
        .map(|change| serde_json::from_str::<serde_json::Value>(change).unwrap()["type"].clone())
        // These come a moment later, in a transaction of their own.
        .filter(|kind| *kind != "instances")
        .collect();
    assert_eq!(kinds, ["objects", "environment"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_break_ghosts_vanish_and_only_what_differs_is_asked_for() {
    let mut shop = Shop::open().await;
    let id = shop.id.clone();
    for name in ["kept", "ghost"] {
        shop.agent.post(healthy(&id, name));
    }
    shop.agent.settled().await;

    // While nobody is connected `ghost` goes and `fresh` comes.
    let mut shop = shop.reconnect().await;
    shop.agent.say(digests(&id, &["kept", "fresh"])).await;
    let asked = shop
        .agent
        .hear("a question", |say| match say {
            Say::DetailRequest(request) => Some(request.clone()),
            _ => None,
        })
        .await;
    assert_eq!(
        asked,
        DetailRequest {
            environment_id: id.clone(),
            group: String::new(),
            kind: "ConfigMap".into()
        }
    );
    let objects = ["kept", "fresh"].map(|name| ObjectDigest {
        namespace: "shop-staging".into(),
        name: name.into(),
        digest: format!("digest of {name}").into_bytes().into(),
    });
    shop.agent
        .say(Say::Detail(KindDetail {
            environment_id: id.clone(),
            kind: "ConfigMap".into(),
            objects: objects.into(),
            ..KindDetail::default()
        }))
        .await;
    assert_eq!(shop.objects().await, ["kept"], "the ghost is gone");
    let asked: ObjectRequest = shop
        .agent
        .hear("a question", |say| match say {
            Say::ObjectRequest(request) => Some(request.clone()),
            _ => None,
        })
        .await;
    assert_eq!(asked.objects.len(), 1);
    assert_eq!(asked.objects[0].name, "fresh");
    shop.agent.say(healthy(&id, "fresh")).await;
    assert_eq!(shop.objects().await, ["fresh", "kept"]);

    let mut shop = shop.reconnect().await;
    shop.agent.say(digests(&id, &["kept", "fresh"])).await;
    let rest = shop.agent.hear_all(Duration::from_millis(300)).await;
    assert!(
        !rest
            .iter()
            .any(|say| matches!(say, Say::DetailRequest(_) | Say::ObjectRequest(_))),
        "nothing differs: {rest:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_are_compared_with_what_came_before_them() {
    let mut shop = Shop::open().await;
    let id = shop.id.clone();
    // In one message: the state is new to the platform, and the digest counts it already.
    shop.agent.post(healthy(&id, "a"));
    shop.agent.post(digests(&id, &["a"]));
    shop.agent.settled().await;
    let rest = shop.agent.hear_all(Duration::from_millis(300)).await;
    assert!(
        !rest.iter().any(|say| matches!(say, Say::DetailRequest(_))),
        "{rest:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_says_of_another_cluster_is_refused_and_told() {
    let mut shop = Shop::open().await;
    let id = shop.id.clone();
    let neighbour = shop.neighbour().await;
    let others = async |shop: &Shop| {
        shop.get("/projects/bank/environments/staging/objects").await["items"]
            .as_array()
            .unwrap()
            .len()
    };

    shop.agent.post(healthy(&neighbour, "intruder"));
    shop.agent.post(digests(&neighbour, &["intruder"]));
    shop.agent.post(healthy(&id, "own"));
    shop.agent.settled().await;

    assert_eq!(others(&shop).await, 0);
    assert_eq!(shop.objects().await, ["own"], "the rest of the message counts");
    let cluster = shop.cluster().await;
    let message = cluster["message"].as_str().expect("an alarm");
    assert!(message.contains("environment"), "{message}");
    assert_eq!(cluster["state"], "running");
    let rest = shop.agent.hear_all(Duration::from_millis(200)).await;
    let of_neighbour =
        |say: &Say| matches!(say, Say::DetailRequest(request) if request.environment_id == neighbour);
    assert!(!rest.iter().any(of_neighbour), "{rest:?}");

    // What is of nobody any more is no offence.
    let mut shop = shop.reconnect().await;
    shop.agent.say(healthy("no-such-environment", "late")).await;
    assert_eq!(shop.cluster().await["message"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_in_the_middle_of_storing_holds_nobody_up() {
    let mut shop = Shop::open().await;
    let id = shop.id.clone();
    for number in 0..3000 {
        shop.agent.post(healthy(&id, &format!("object-{number}")));
    }
    shop.agent.send().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let Shop { server, agent, .. } = shop;
    agent.cut();

    let admin = server.admin();
    eventually("the cluster is shown as disconnected", async || {
        admin.get(crate::shop::EAST).await.body["state"] == "disconnected"
    })
    .await;
    let writer = timeout(PATIENCE, server.platform.store().write()).await;
    writer.expect("the writer is free").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_states_does_not_keep_others_waiting() {
    let mut shop = Shop::open().await;
    let id = shop.id.clone();
    for number in 0..5000 {
        shop.agent.post(healthy(&id, &format!("object-{number}")));
    }
    let store = shop.server.platform.store().clone();
    let others = tokio::spawn(async move {
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            let begin = Instant::now();
            drop(store.write().await.unwrap());
            longest = longest.max(begin.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        longest
    });
    let begin = Instant::now();
    shop.agent.settled().await;
    let all = begin.elapsed();
    println!("5000 states stored in {all:?}");
    let longest = others.await.unwrap();
    println!("others waited for the writer {longest:?} at most");
    // A busy machine is slow with both alike.
    assert!(
        longest < (all / 2).max(Duration::from_secs(2)),
        "{longest:?} of {all:?}"
    );
    assert_eq!(shop.staging().await["health"]["healthy"], 5000);
}
