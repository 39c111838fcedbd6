//! What an agent reports of an environment and of the delivery of its commits.

use c7n_git_host::fingerprint;
use c7n_link::messages::{
    DeliveryReport, DriftedField, EnvironmentPhase, EnvironmentStatus, HeldPrune, ObjectKey, ObjectResult,
    Outcome, Removal, Say,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::repository::config_map;
use crate::shop::{STAGING, Shop, eventually};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx3zGr5J8C1vM0gG0g4A8m0u2yqz0oQ1n8h2q4b0p0B c7n-agent";

fn status(environment: &str, phase: EnvironmentPhase, key: &str, message: &str) -> Say {
    Say::EnvironmentStatus(EnvironmentStatus {
        environment_id: environment.into(),
        phase: phase.into(),
        public_key: key.into(),
        tags_checked: true,
        message: message.into(),
    })
}

fn object(name: &str, outcome: Outcome, message: &str) -> ObjectResult {
    ObjectResult {
        key: ObjectKey {
            kind: "ConfigMap".into(),
            namespace: "shop-staging".into(),
            name: name.into(),
            ..ObjectKey::default()
        },
        file: format!("{name}.yaml"),
        line: 1,
        outcome: outcome.into(),
        message: message.into(),
        code: if message.is_empty() {
            String::new()
        } else {
            "invalid".into()
        },
        drifted: Vec::new(),
    }
}

fn report(environment: &str, commit: &str, agent_sync: &str, objects: Vec<ObjectResult>) -> DeliveryReport {
    DeliveryReport {
        environment_id: environment.into(),
        commit: commit.into(),
        agent_sync: agent_sync.into(),
        started_ms: 1,
        finished_ms: 2,
        attempt: 1,
        objects,
        ..DeliveryReport::default()
    }
}

async fn states(shop: &Shop) -> Vec<Value> {
    let page = shop.get(&format!("{STAGING}/history")).await;
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["state"].clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_ready_when_its_agent_says_so_and_its_key_is_registered() {
    let mut shop = Shop::open().await;
    let id = shop.id.clone();
    assert_eq!(shop.staging().await["phase"], "preparing");

    shop.agent
        .say(status(
            &id,
            EnvironmentPhase::Failed,
            KEY,
            "no rights in the namespace",
        ))
        .await;
    let staging = shop.staging().await;
    assert_eq!(
        (&staging["phase"], &staging["message"]),
        (&json!("failed"), &json!("no rights in the namespace"))
    );
    let registered = fingerprint(KEY).unwrap();
    shop.agent
        .hear("the word that the key is registered", |say| match say {
            Say::Environment(spec) if spec.registered_fingerprint == registered => Some(()),
            _ => None,
        })
        .await;

    shop.agent
        .say(status(&id, EnvironmentPhase::Ready, KEY, ""))
        .await;
    let staging = shop.staging().await;
    assert_eq!(
        (&staging["phase"], &staging["message"]),
        (&json!("ready"), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_another_environment_is_not_taken() {
    let mut shop = Shop::open().await;
    let id = shop.id.clone();
    let neighbour = shop.neighbour().await;
    let registered = fingerprint(KEY).unwrap();
    shop.server
        .sql(&format!(
            "UPDATE environments SET agent_fingerprint = '{registered}' WHERE id = '{neighbour}'"
        ))
        .await;

    shop.agent
        .say(status(&id, EnvironmentPhase::Ready, KEY, ""))
        .await;

    let key: Option<String> = sqlx::query_scalar("SELECT agent_fingerprint FROM environments WHERE id = $1")
        .bind(&id)
        .fetch_one(shop.server.platform.store().readers())
        .await
        .unwrap();
    assert_eq!(key, None);
    assert!(shop.cluster().await["message"].as_str().unwrap().contains("key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_converged_when_everything_of_the_newest_commit_is_applied() {
    let mut shop = Shop::open().await;
    let (id, clone) = (shop.id.clone(), shop.clone().await);
    clone.write("a.yaml", &config_map("a", "1"));
    clone.write("b.yaml", &config_map("b", "1"));
    let first = clone.publish().await;
    shop.agent.wanted(&first).await;

    let failed = vec![
        object("a", Outcome::Applied, ""),
        object("b", Outcome::Failed, "the webhook says no"),
    ];
    shop.agent
        .say(Say::Delivery(report(&id, &first, "", failed)))
        .await;
    let staging = shop.staging().await;
    assert_eq!(
        (&staging["converged"], &staging["failed_objects"]),
        (&json!(false), &json!(1))
    );
    assert_eq!(states(&shop).await, ["delivering"]);
    let errors = shop.get(&format!("{STAGING}/errors")).await;
    assert_eq!(
        (&errors[0]["source"], &errors[0]["file"], &errors[0]["message"]),
        (
            &json!("delivery"),
            &json!("b.yaml"),
            &json!("the webhook says no")
        )
    );

    let applied = vec![
        object("a", Outcome::Unchanged, ""),
        object("b", Outcome::Applied, ""),
    ];
    shop.agent
        .say(Say::Delivery(report(&id, &first, &first, applied)))
        .await;
    let staging = shop.staging().await;
    assert_eq!(staging["converged"], true);
    assert_eq!(
        staging["commits"],
        json!({"newest": first, "parsed": first, "applied": first})
    );
    assert_eq!(states(&shop).await, ["applied"]);
    assert_eq!(shop.get(&format!("{STAGING}/errors")).await, json!([]));

    clone.write("a.yaml", &config_map("a", "2"));
    let second = clone.publish().await;
    shop.agent.wanted(&second).await;
    assert_eq!(shop.staging().await["converged"], false);
    // A report on the commit before, told again after a break, changes nothing of what is wanted now.
    let late = vec![object("b", Outcome::Failed, "late")];
    shop.agent
        .say(Say::Delivery(report(&id, &first, &first, late)))
        .await;
    assert_eq!(states(&shop).await, ["wanted", "applied"]);
    assert_eq!(shop.staging().await["failed_objects"], 0);
    shop.agent
        .say(Say::Delivery(report(&id, &second, &second, Vec::new())))
        .await;
    assert_eq!(states(&shop).await, ["applied", "applied"]);
    assert_eq!(shop.staging().await["converged"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn held_deletions_wait_for_a_persons_word_and_the_agent_hears_it() {
    let mut shop = Shop::open().await;
    let (id, clone) = (shop.id.clone(), shop.clone().await);
    clone.write("a.yaml", &config_map("a", "1"));
    let first = clone.publish().await;
    shop.agent.wanted(&first).await;
    std::fs::remove_file(clone.path("a.yaml")).unwrap();
    let second = clone.publish().await;
    let spec = shop.agent.wanted(&second).await;

    let held = DeliveryReport {
        held: Some(HeldPrune {
            count: 1,
            total: 1,
            objects: vec!["ConfigMap a".into()],
        }),
        ..report(&id, &second, &first, vec![object("a", Outcome::Held, "")])
    };
    shop.agent.say(Say::Delivery(held)).await;
    let staging = shop.staging().await;
    assert_eq!(
        staging["held"],
        json!({"commit": second, "count": 1, "total": 1, "objects": ["ConfigMap a"]})
    );
    assert_eq!(staging["converged"], false);

    let confirm = format!("{STAGING}/confirm-deletions");
    let admin = shop.server.admin();
    admin
        .post(&confirm, json!({"commit": first}))
        .await
        .refused(StatusCode::CONFLICT);
    admin
        .post(&confirm, json!({"commit": second}))
        .await
        .expect(StatusCode::OK);
    let confirmed = shop
        .agent
        .hear("the confirmation", |say| match say {
            Say::Environment(spec) if spec.confirmed_commit == second => Some(spec.clone()),
            _ => None,
        })
        .await;
    assert!(confirmed.generation > spec.generation);
    shop.agent
        .say(Say::Delivery(report(
            &id,
            &second,
            &second,
            vec![object("a", Outcome::Pruned, "")],
        )))
        .await;
    assert_eq!(shop.staging().await["converged"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_goes_when_its_agent_has_removed_it_and_not_before() {
    let mut shop = Shop::open().await;
    let (id, clone) = (shop.id.clone(), shop.clone().await);
    shop.agent
        .say(status(&id, EnvironmentPhase::Removed, "", ""))
        .await;
    assert_eq!(shop.staging().await["name"], "staging", "nobody asked for that");

    let admin = shop.server.admin();
    admin
        .delete(&format!("{STAGING}?namespace=delete"))
        .await
        .expect(StatusCode::ACCEPTED);
    shop.agent
        .hear("the word to remove it", |say| match say {
            Say::Environment(spec) if spec.removal() == Removal::DeleteNamespace => Some(()),
            _ => None,
        })
        .await;
    assert_eq!(shop.staging().await["phase"], "removing");
    shop.agent
        .say(status(&id, EnvironmentPhase::Removed, "", ""))
        .await;
    admin.get(STAGING).await.refused(StatusCode::NOT_FOUND);
    eventually("its repository is gone", async || !clone.bare_path().exists()).await;

    // Its last words may come late.
    shop.agent
        .say(Say::Delivery(report(&id, "c", "c", Vec::new())))
        .await;
    assert_eq!(shop.cluster().await["message"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_had_changed_is_told_once_field_by_field() {
    let mut shop = Shop::open().await;
    let (id, clone) = (shop.id.clone(), shop.clone().await);
    clone.write("a.yaml", &config_map("a", "1"));
    let commit = clone.publish().await;
    shop.agent.wanted(&commit).await;
    let drifted = |field: &str, manager: &str, time_ms: i64| DriftedField {
        field: field.into(),
        manager: manager.into(),
        time_ms,
    };
    let repaired = ObjectResult {
        drifted: vec![drifted(".data.k", "kubectl-edit", 5), drifted(".data.l", "", 0)],
        ..object("a", Outcome::Applied, "somebody else had changed it")
    };
    for _ in 0..2 {
        let report = report(&id, &commit, &commit, vec![repaired.clone()]);
        shop.agent.say(Say::Delivery(report)).await;
    }
    // A pass that found nothing to repair takes nothing back.
    let quiet = report(&id, &commit, &commit, Vec::new());
    shop.agent.say(Say::Delivery(quiet)).await;

    let told = shop.get(&format!("{STAGING}/drift")).await;
    assert_eq!(
        told,
        json!([{
            "object": {"group": "", "kind": "ConfigMap", "name": "a"}, "file": "a.yaml", "repaired_ms": 2,
            "fields": [
                {"field": ".data.k", "manager": "kubectl-edit", "time_ms": 5},
                {"field": ".data.l", "manager": null, "time_ms": null},
            ],
        }])
    );
}
