//! Commands reach the agent, however often it reconnects, and have one end.

use std::time::Duration;

use c7n_link::messages::{Action, Command, CommandOutcome, CommandResult, Say};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::shop::{Shop, eventually};

const COMMANDS: &str = "/projects/shop/environments/staging/commands";

async fn scale(shop: &Shop) -> String {
    let scale = json!({"action": "scale", "replicas": 3, "object": {"group": "apps", "kind": "Deployment", "name": "web"}});
    let made = shop.server.admin().post(COMMANDS, scale).await;
    made.expect(StatusCode::CREATED)["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn command(shop: &Shop, id: &str) -> Value {
    shop.get(&format!("{COMMANDS}/{id}")).await
}

async fn heard(shop: &mut Shop) -> Command {
    shop.agent
        .hear("a command", |say| match say {
            Say::Command(command) => Some(command.clone()),
            _ => None,
        })
        .await
}

async fn cancelled(shop: &mut Shop) -> String {
    shop.agent
        .hear("a cancellation", |say| match say {
            Say::Cancel(cancel) => Some(cancel.command_id.clone()),
            _ => None,
        })
        .await
}

fn result(id: &str, outcome: CommandOutcome, message: &str) -> Say {
    Say::Result(CommandResult {
        command_id: id.into(),
        outcome: outcome.into(),
        message: message.into(),
        payload: br#"{"replicas": 3}"#.as_slice().into(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_said_until_its_result_is_stored_and_then_no_more() {
    let mut shop = Shop::open().await;
    let id = scale(&shop).await;
    let said = heard(&mut shop).await;
    assert_eq!(said.command_id, id);
    assert_eq!(said.environment_id, shop.id);
    let Some(Action::Scale(scale)) = said.action else {
        panic!("{said:?}")
    };
    assert_eq!(
        (scale.replicas, scale.object.namespace.as_str()),
        (3, "shop-staging")
    );

    let mut shop = shop.reconnect().await;
    assert_eq!(heard(&mut shop).await.command_id, id, "there is no result yet");
    shop.agent
        .say(result(&id, CommandOutcome::Succeeded, "scaled"))
        .await;
    shop.agent.say(result(&id, CommandOutcome::Failed, "again")).await;

    let stored = command(&shop, &id).await;
    assert_eq!(
        (&stored["state"], &stored["message"]),
        (&json!("succeeded"), &json!("scaled"))
    );
    assert_eq!(stored["result"], json!({"replicas": 3}));
    let mut shop = shop.reconnect().await;
    let rest = shop.agent.hear_all(Duration::from_millis(300)).await;
    assert!(!rest.iter().any(|say| matches!(say, Say::Command(_))), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_while_nobody_was_connected_is_said_to_the_next_session() {
    let shop = Shop::open().await.restart(|| {}).await;
    let Shop {
        server,
        id: environment,
        credential,
        agent,
    } = shop;
    agent.cut();
    let made = server
        .admin()
        .post(COMMANDS, json!({"action": "sync"}))
        .await
        .expect(StatusCode::CREATED);
    let agent = crate::fake_agent::FakeAgent::connect(&server, &credential).await;
    let mut shop = Shop {
        server,
        id: environment,
        credential,
        agent,
    };
    assert_eq!(heard(&mut shop).await.command_id, made["id"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_command_is_called_off_also_after_a_break() {
    let mut shop = Shop::open().await;
    let (one, other) = (scale(&shop).await, scale(&shop).await);
    heard(&mut shop).await;
    heard(&mut shop).await;

    let path = format!("{COMMANDS}/{one}");
    shop.server.admin().delete(&path).await.expect(StatusCode::OK);
    assert_eq!(cancelled(&mut shop).await, one);
    shop.agent
        .say(result(&one, CommandOutcome::Succeeded, "too late"))
        .await;
    assert_eq!(command(&shop, &one).await["state"], "cancelled");

    let Shop {
        server,
        id,
        credential,
        agent,
    } = shop;
    agent.cut();
    let path = format!("{COMMANDS}/{other}");
    server.admin().delete(&path).await.expect(StatusCode::OK);
    let agent = crate::fake_agent::FakeAgent::connect(&server, &credential).await;
    let mut shop = Shop {
        server,
        id,
        credential,
        agent,
    };
    let called_off = [cancelled(&mut shop).await, cancelled(&mut shop).await];
    assert!(called_off.contains(&other), "{called_off:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_is_in_progress_for_ever() {
    let mut shop = Shop::open().await;
    let id = scale(&shop).await;
    heard(&mut shop).await;
    shop.server.sql("UPDATE commands SET deadline_ms = 1").await;

    eventually("it has expired", async || {
        command(&shop, &id).await["state"] == "expired"
    })
    .await;
    assert_eq!(cancelled(&mut shop).await, id, "its agent is told to leave it");
    let message = command(&shop, &id).await["message"].clone();
    assert!(message.as_str().unwrap().contains("deadline"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_another_clusters_command_is_refused_and_of_a_gone_one_passed_over() {
    let mut shop = Shop::open().await;
    shop.neighbour().await;
    let commands = "/projects/bank/environments/staging/commands";
    let made = shop
        .server
        .admin()
        .post(commands, json!({"action": "sync"}))
        .await
        .expect(StatusCode::CREATED);
    let id = made["id"].as_str().unwrap();

    shop.agent
        .say(result("no-such-command", CommandOutcome::Succeeded, ""))
        .await;
    assert_eq!(shop.cluster().await["message"], Value::Null);
    shop.agent
        .say(result(id, CommandOutcome::Succeeded, "intruder"))
        .await;
    assert!(
        shop.cluster().await["message"]
            .as_str()
            .unwrap()
            .contains("a command")
    );
    assert_eq!(shop.get(&format!("{commands}/{id}")).await["state"], "pending");
}
