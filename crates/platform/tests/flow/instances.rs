//! Instances: folded from what an agent says of single objects, and told when they change.

use std::time::Duration;

use c7n_link::messages::{Health, ObjectKey, ObjectState, Owner, Say};
use serde_json::{Value, json};

use crate::shop::{STAGING, Shop, eventually};

fn state(environment: &str, (group, kind, name): (&str, &str, &str), health: Health) -> ObjectState {
    ObjectState {
        environment_id: environment.into(),
        key: ObjectKey {
            group: group.into(),
            kind: kind.into(),
            namespace: "shop-staging".into(),
            name: name.into(),
        },
        version: "v1".into(),
        uid: format!("uid-{name}"),
        resource_version: "7".into(),
        health: health.into(),
        digest: format!("digest of {name}").into_bytes().into(),
        created_ms: 1,
        ..ObjectState::default()
    }
}

fn release(environment: &str) -> ObjectState {
    let columns = [
        ("chart", "web"),
        ("version", "1.2.3"),
        ("phase", "Deployed"),
        ("revision", "3"),
        ("revisions", r#"[{"revision":2},{"revision":3,"commit":"c3"}]"#),
    ];
    ObjectState {
        managed: true,
        file: "web.yaml".into(),
        summary: columns
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..state(
            environment,
            ("choerodon.io", "C7NHelmRelease", "web"),
            Health::Healthy,
        )
    }
}

fn deployment(environment: &str, health: Health) -> ObjectState {
    ObjectState {
        release: "web".into(),
        ..state(environment, ("apps", "Deployment", "web-d"), health)
    }
}

fn pod(environment: &str, health: Health, cause: &str) -> ObjectState {
    ObjectState {
        owners: vec![Owner {
            uid: "uid-web-d".into(),
            kind: "Deployment".into(),
            name: "web-d".into(),
        }],
        cause: cause.into(),
        ..state(environment, ("", "Pod", "web-d-1"), health)
    }
}

fn settings(environment: &str) -> ObjectState {
    state(environment, ("", "ConfigMap", "settings"), Health::Healthy)
}

async fn say(shop: &mut Shop, states: Vec<ObjectState>) {
    for state in states {
        shop.agent.post(Say::State(state));
    }
    shop.agent.settled().await;
}

/// What was told of instances, the oldest first.
async fn told(shop: &Shop) -> Vec<Value> {
    let changes: Vec<String> = sqlx::query_scalar("SELECT change FROM events ORDER BY id")
        .fetch_all(shop.server.platform.store().readers())
        .await
        .unwrap();
    changes
        .iter()
        .map(|change| serde_json::from_str::<Value>(change).unwrap())
        .filter(|change| change["type"] == "instances")
        .map(|change| change["data"].clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_says_why_it_is_not_well_and_names_the_object() {
    let mut shop = Shop::open().await;
    let id = shop.id.clone();
    // The pod comes before what owns it.
    say(
        &mut shop,
        vec![
            pod(
                &id,
                Health::Degraded,
                "container web crashes with exit code 1\nno database\nbye",
            ),
            settings(&id),
            deployment(&id, Health::Progressing),
            release(&id),
        ],
    )
    .await;

    let all = shop.get(&format!("{STAGING}/instances")).await;
    assert_eq!(
        all["instances"],
        json!([{
            "name": "web", "chart": "web", "version": "1.2.3", "repository": null, "app": null, "revision": 3,
            "deployed": null, "phase": "Deployed", "commit": null, "file": "web.yaml",
            "revisions": [
                {"revision": 2, "commit": null, "chart": null, "time": null},
                {"revision": 3, "commit": "c3", "chart": null, "time": null},
            ],
            "health": "degraded", "objects": 3, "pods": 1, "pods_ready": 0,
            "cause": {
                "text": "Pod web-d-1: container web crashes with exit code 1", "log": ["no database", "bye"],
                "object": {"group": "", "kind": "Pod", "name": "web-d-1"},
            },
        }])
    );
    assert_eq!(all["environment"]["objects"], 1);
    assert_eq!(all["environment"]["health"], "healthy");

    let one = shop.get(&format!("{STAGING}/instances/web")).await;
    let deployment = &one["tree"][0]["owned"][0];
    assert_eq!(deployment["object"]["name"], "web-d");
    assert_eq!(deployment["object"]["release"], "web");
    assert_eq!(deployment["owned"][0]["object"]["name"], "web-d-1");
    let tree = shop.get(&format!("{STAGING}/tree")).await;
    assert_eq!(tree["instances"][0], one);
    assert_eq!(tree["own"][0]["object"]["name"], "settings");
    let missing = shop
        .server
        .admin()
        .get(&format!("{STAGING}/instances/nobody"))
        .await;
    assert_eq!(
        (missing.status.as_u16(), &missing.body["code"]),
        (404, &json!("not-found"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_told_when_an_instance_changes_and_not_when_it_does_not() {
    let mut shop = Shop::open().await;
    let id = shop.id.clone();
    say(&mut shop, vec![release(&id), deployment(&id, Health::Healthy)]).await;
    eventually("the instance is told", async || {
        told(&shop)
            .await
            .last()
            .is_some_and(|last| last["changed"][0]["health"] == "healthy")
    })
    .await;

    say(
        &mut shop,
        vec![
            deployment(&id, Health::Progressing),
            pod(
                &id,
                Health::Degraded,
                "container web: the image x cannot be pulled",
            ),
        ],
    )
    .await;
    eventually("the cause is told", async || {
        told(&shop).await.last().is_some_and(|last| {
            last["changed"][0]["cause"]["text"] == "Pod web-d-1: container web: the image x cannot be pulled"
        })
    })
    .await;

    // The same states again are no news, also not for a platform that was restarted.
    let before = told(&shop).await.len();
    say(&mut shop, vec![deployment(&id, Health::Progressing)]).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(told(&shop).await.len(), before);
    let mut shop = shop.restart(|| {}).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(told(&shop).await.len(), before);

    let gone = |state: ObjectState| ObjectState {
        deleted: true,
        ..state
    };
    let all = [
        release(&id),
        deployment(&id, Health::Healthy),
        pod(&id, Health::Healthy, ""),
    ];
    say(&mut shop, all.map(gone).into()).await;
    eventually("the end of the instance is told", async || {
        told(&shop)
            .await
            .last()
            .is_some_and(|last| last["gone"] == json!(["web"]))
    })
    .await;
    let all = shop.get(&format!("{STAGING}/instances")).await;
    assert_eq!(all["instances"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_told_before_a_crash_is_told_after_it() {
    let mut shop = Shop::open().await;
    let id = shop.id.clone();
    say(&mut shop, vec![release(&id)]).await;
    eventually("the instance is told", async || !told(&shop).await.is_empty()).await;
    let database = shop.server.data.path().join("c7n.db");

    // As if the process had ended between the two transactions.
    let shop = shop
        .restart(move || {
            let runtime = std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap()
                    .block_on(async {
                        let url = format!("sqlite://{}", database.display());
                        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
                        sqlx::query("DELETE FROM instances").execute(&pool).await.unwrap();
                        sqlx::query("DELETE FROM events WHERE change LIKE '{\"type\":\"instances\"%'")
                            .execute(&pool)
                            .await
                            .unwrap();
                        pool.close().await;
                    });
            });
            runtime.join().unwrap();
        })
        .await;
    eventually("the instance is told again", async || {
        !told(&shop).await.is_empty()
    })
    .await;
}
