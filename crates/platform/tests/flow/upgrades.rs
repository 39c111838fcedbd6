//! Agents of other versions, and agents that are told to become one.

use c7n_link::messages::{Action, CommandOutcome, CommandResult, Hello, Say, UpgradeAgent};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::fake_agent::{FakeAgent, dial, hello};
use crate::shop::{EAST, Shop, eventually};

const UPGRADE: &str = "/projects/shop/clusters/east/upgrade";

fn of_version(version: &str, features: Vec<String>) -> Hello {
    Hello {
        agent_version: version.into(),
        features,
        ..hello("uid-east")
    }
}

async fn come(shop: &Shop, hello: Hello) -> FakeAgent {
    let socket = dial(&shop.server, &shop.credential).await.unwrap();
    FakeAgent::introduce(socket, hello).await.unwrap()
}

async fn order(agent: &mut FakeAgent) -> (String, UpgradeAgent) {
    agent
        .hear("an upgrade", |say| match say {
            Say::Command(command) => match &command.action {
                Some(Action::UpgradeAgent(upgrade)) => Some((command.command_id.clone(), upgrade.clone())),
                _ => None,
            },
            _ => None,
        })
        .await
}

fn result(id: &str, outcome: CommandOutcome, message: &str) -> Say {
    Say::Result(CommandResult {
        command_id: id.into(),
        outcome: outcome.into(),
        message: message.into(),
        ..CommandResult::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_agent_that_can_do_less_is_taken_in_and_shown_as_such() {
    let shop = Shop::open().await;
    for (version, expected) in [
        ("0.0.9", "outdated"),
        ("0.1.0", "current"),
        ("9.0.0", "current"),
        ("dev", "unknown"),
    ] {
        let _agent = come(&shop, of_version(version, Vec::new())).await;
        let cluster = shop.cluster().await;
        assert_eq!(cluster["state"], "running");
        assert_eq!(cluster["agent_version"], version);
        assert_eq!(cluster["agent_support"], expected, "{version}");
    }

    // What it cannot do is not asked of it.
    let _agent = come(&shop, of_version("0.0.9", vec!["of-the-future".into()])).await;
    let refused = shop
        .server
        .admin()
        .post(UPGRADE, json!({ "image": "c7n-agent:2" }))
        .await;
    let problem = refused.expect(StatusCode::CONFLICT);
    assert!(
        problem["next"].as_str().unwrap().contains("helm upgrade"),
        "{problem}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_ordered_once_survives_a_change_of_agents_and_ends_once() {
    let shop = Shop::open().await;
    let admin = shop.server.admin();
    let mut old = come(&shop, of_version("0.1.0", c7n_link::features())).await;
    assert_eq!(admin.get(UPGRADE).await.status, StatusCode::NOT_FOUND);

    let body = json!({ "image": "c7n-agent:2", "timeout_seconds": 60 });
    let made = admin
        .post(UPGRADE, body.clone())
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(made["state"], "pending");
    let (id, wanted) = order(&mut old).await;
    assert_eq!(made["id"], id);
    assert_eq!(
        (wanted.image.as_str(), wanted.patience_ms),
        ("c7n-agent:2", 60_000)
    );
    admin
        .post(UPGRADE, body.clone())
        .await
        .refused(StatusCode::CONFLICT);

    // The old one is gone before it could answer; the new one is told the same and settles it.
    old.cut();
    let mut new = come(&shop, of_version("0.2.0", c7n_link::features())).await;
    let (again, _) = order(&mut new).await;
    assert_eq!(again, id);
    new.say(result(&id, CommandOutcome::Succeeded, "c7n-agent:2 runs"))
        .await;
    let ended = admin.get(UPGRADE).await.expect(StatusCode::OK);
    assert_eq!(
        (&ended["state"], &ended["message"]),
        (&json!("succeeded"), &json!("c7n-agent:2 runs"))
    );
    assert_eq!(shop.cluster().await["agent_version"], "0.2.0");

    new.say(result(&id, CommandOutcome::Failed, "late")).await;
    assert_eq!(
        admin.get(UPGRADE).await.body["state"],
        "succeeded",
        "it has one end"
    );

    admin.post(UPGRADE, body).await.expect(StatusCode::CREATED);
    let (second, _) = order(&mut new).await;
    new.say(result(
        &second,
        CommandOutcome::Failed,
        "it did not report, the old one is back",
    ))
    .await;
    assert_eq!(admin.get(UPGRADE).await.body["state"], "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_nobody_answers_expires_and_strangers_cannot_settle_it() {
    let shop = Shop::open().await;
    let admin = shop.server.admin();
    let mut agent = come(&shop, of_version("0.1.0", c7n_link::features())).await;
    for wrong in ["", "c7n-agent", "a b:1", "c7n-agent:1;rm"] {
        admin
            .post(UPGRADE, json!({ "image": wrong }))
            .await
            .refused(StatusCode::UNPROCESSABLE_ENTITY);
    }
    admin
        .post(UPGRADE, json!({ "image": "c7n-agent:2", "timeout_seconds": 1 }))
        .await
        .refused(StatusCode::UNPROCESSABLE_ENTITY);
    admin
        .post(UPGRADE, json!({ "image": "c7n-agent:2" }))
        .await
        .expect(StatusCode::CREATED);
    let (id, _) = order(&mut agent).await;

    shop.neighbour().await;
    let token = crate::shop::activation(&shop.server, "bank", "east").await;
    let mut stranger = FakeAgent::connect(&shop.server, &token).await;
    stranger.say(result(&id, CommandOutcome::Succeeded, "ha")).await;
    assert_eq!(admin.get(UPGRADE).await.body["state"], "pending");

    shop.server.sql("UPDATE agent_upgrades SET deadline_ms = 1").await;
    eventually("it expires", async || {
        admin.get(UPGRADE).await.body["state"] == "expired"
    })
    .await;
    agent.cut();
    eventually("its agent is gone", async || {
        shop.cluster().await["state"] == "disconnected"
    })
    .await;
    let refused = admin.post(UPGRADE, json!({ "image": "c7n-agent:2" })).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_ne!(admin.get(EAST).await.body, Value::Null);
}
