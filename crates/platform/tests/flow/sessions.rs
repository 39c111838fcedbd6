//! Who is taken in, who is turned away, and that an old session cannot touch a new one.

use std::time::{Duration, Instant};

use c7n_link::messages::{ByeCode, Hello, Say};
use futures_util::{SinkExt, StreamExt};
use reqwest::StatusCode;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::fake_agent::{FakeAgent, PATIENCE, dial, hello};
use crate::server::Server;
use crate::shop::{EAST, Shop, activation, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_activation_token_is_swapped_for_a_credential_and_used_up_by_it() {
    let server = Server::start().await;
    let id = server.environment("shop").await;
    let token = activation(&server, "shop", "east").await;
    assert_eq!(
        server.admin().get(EAST).await.expect(StatusCode::OK)["state"],
        "waiting"
    );

    let first = FakeAgent::connect(&server, &token).await;
    let credential = first.welcome.credential.clone();
    assert!(!credential.is_empty() && credential != token);
    assert_eq!(first.welcome.environments, [id]);
    first.cut();
    let again = FakeAgent::connect(&server, &token).await;
    let second = again.welcome.credential.clone();
    assert_ne!(second, credential, "an agent that lost its answer gets another");
    again.cut();

    let agent = FakeAgent::connect(&server, &second).await;
    assert_eq!(agent.welcome.credential, "", "nothing to swap");
    for used_up in [&token, &credential] {
        assert_eq!(dial(&server, used_up).await.unwrap_err().status, 401);
    }
    let cluster = server.admin().get(EAST).await.expect(StatusCode::OK);
    assert_eq!(cluster["state"], "running");
    assert_eq!(cluster["kubernetes_version"], "v1.35.0");
    assert_eq!(cluster["agent_version"], "0.0.1");
    assert_eq!(cluster["nodes"][0]["name"], "node-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shows_nothing_that_ever_worked_reads_the_same_words() {
    let shop = Shop::open().await;
    let server = &shop.server;
    server
        .sql("DELETE FROM cluster_credentials WHERE purpose = 'session'")
        .await;
    let of_a_user = server.first_run.token.clone();

    let mut answers = Vec::new();
    for token in [&shop.credential, &of_a_user, "c7n_nobody", ""] {
        answers.push(dial(server, token).await.unwrap_err());
    }

    assert_eq!(answers[0].status, 401);
    assert!(answers[0].words.contains("c7n cluster activation"), "{answers:?}");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_no_longer_works_tells_why_to_its_holder_and_to_people() {
    let server = Server::start().await;
    server.project("shop").await;
    let message = async || server.admin().get(EAST).await.body["message"].clone();

    let replaced = activation(&server, "shop", "east").await;
    let expired = activation(&server, "shop", "east").await;
    server
        .sql("UPDATE cluster_credentials SET expires_ms = 1 WHERE used_ms IS NULL")
        .await;
    for (token, words) in [(&replaced, "replaced by a newer one"), (&expired, "expired")] {
        let refused = dial(&server, token).await.unwrap_err();
        assert_eq!(refused.status, 401);
        assert!(
            refused.words.contains(words) && refused.words.contains("c7n cluster activation"),
            "{refused:?}"
        );
        assert!(
            message().await.as_str().unwrap().contains(words),
            "{:?}",
            message().await
        );
    }

    let token = activation(&server, "shop", "east").await;
    let first = FakeAgent::connect(&server, &token).await;
    let agent = FakeAgent::connect(&server, &first.welcome.credential).await;
    assert_eq!(
        message().await,
        Value::Null,
        "an agent that is taken in is the news"
    );
    let used = dial(&server, &token).await.unwrap_err();
    assert!(used.words.contains("used already"), "{used:?}");
    assert_eq!(
        message().await,
        Value::Null,
        "a cluster that is connected has better news"
    );
    agent.cut();
    eventually("its end is stored", async || {
        server.admin().get(EAST).await.body["state"] == "disconnected"
    })
    .await;
    dial(&server, &token).await.unwrap_err();
    assert!(message().await.as_str().unwrap().contains("used already"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_stands_by_learns_whether_it_would_be_taken_in_and_changes_nothing() {
    let shop = Shop::open().await;
    let probe = async |token: &str| {
        let request = reqwest::Client::new()
            .get(format!("{}/agent/probe", shop.server.url()))
            .bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };

    assert_eq!(probe(&shop.credential).await, 204);
    assert_eq!(probe("c7n_nobody").await, 401);
    assert_eq!(probe(&shop.server.first_run.token).await, 401);

    assert_eq!(shop.cluster().await["state"], "running");
}

fn able(uid: &str) -> Hello {
    Hello {
        features: c7n_link::features(),
        ..hello(uid)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_credential_is_replaced_and_works_until_the_new_one_was_used() {
    let shop = Shop::open().await;
    let server = &shop.server;
    let come = async |credential: &str| {
        let socket = dial(server, credential).await.unwrap();
        FakeAgent::introduce(socket, able("uid-east")).await.unwrap()
    };
    let handed_out = async |agent: &mut FakeAgent| {
        agent
            .hear("a new credential", |say| match say {
                Say::Credential(new) => Some(new.credential.clone()),
                _ => None,
            })
            .await
    };
    let mut young = come(&shop.credential).await;
    let said = young.hear_all(Duration::from_millis(300)).await;
    assert!(
        !said.iter().any(|say| matches!(say, Say::Credential(_))),
        "{said:?}"
    );
    let forty_days = 40 * 24 * 60 * 60 * 1000_i64;
    server
        .sql(&format!(
            "UPDATE cluster_credentials SET created_ms = created_ms - {forty_days}"
        ))
        .await;

    // One that cannot take another keeps what it has.
    let mut older = FakeAgent::connect(server, &shop.credential).await;
    let said = older.hear_all(Duration::from_millis(300)).await;
    assert!(
        !said.iter().any(|say| matches!(say, Say::Credential(_))),
        "{said:?}"
    );

    // Lost on the way: the old one still works, and another is handed out.
    let mut agent = come(&shop.credential).await;
    let lost = handed_out(&mut agent).await;
    agent.cut();
    let mut agent = come(&shop.credential).await;
    let new = handed_out(&mut agent).await;
    assert!(new != lost && new != shop.credential);
    agent.cut();

    // Used: the ones before it work no longer.
    let mut agent = come(&new).await;
    let said = agent.hear_all(Duration::from_millis(300)).await;
    assert!(
        !said.iter().any(|say| matches!(say, Say::Credential(_))),
        "{said:?}"
    );
    for over in [&shop.credential, &lost] {
        assert_eq!(dial(server, over).await.unwrap_err().status, 401);
    }
    assert_eq!(shop.cluster().await["state"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_session_counts_and_a_late_end_of_the_older_does_not_touch_it() {
    let shop = Shop::open().await;
    let mut old = shop.agent;

    let new = FakeAgent::connect(&shop.server, &shop.credential).await;

    assert!(new.epoch() > old.epoch());
    assert_eq!(old.ended().await.code, ByeCode::Superseded);
    drop(old);
    let running = async || shop.server.admin().get(EAST).await.body["state"] == "running";
    for _ in 0..10 {
        assert!(running().await);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    new.cut();
    eventually("the end of the newest counts", async || !running().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_another_cluster_is_refused_and_it_is_said_aloud() {
    let shop = Shop::open().await;

    let stranger = dial(&shop.server, &shop.credential).await.unwrap();
    let refused = FakeAgent::introduce(stranger, hello("uid-west"))
        .await
        .err()
        .unwrap();

    assert_eq!(refused.code, ByeCode::Refused);
    assert!(refused.reason.contains("another cluster"), "{refused:?}");
    let cluster = shop.cluster().await;
    assert_eq!(cluster["state"], "running", "the right one stays connected");
    let message = cluster["message"].as_str().unwrap();
    assert!(message.contains("another cluster"), "{message}");

    let shop = shop.reconnect().await;
    assert_eq!(shop.cluster().await["message"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_cannot_be_understood_is_told_and_so_are_people() {
    let shop = Shop::open().await;
    let from_the_future = Hello {
        protocol_min: 900,
        protocol_max: 901,
        ..hello("uid-east")
    };
    for (odd, code, words) in [
        (from_the_future, ByeCode::Incompatible, "900 to 901"),
        (hello(""), ByeCode::Refused, "kube-system"),
    ] {
        let socket = dial(&shop.server, &shop.credential).await.unwrap();
        let refused = FakeAgent::introduce(socket, odd).await.err().unwrap();
        assert_eq!(refused.code, code);
        let cluster = shop.cluster().await;
        for told in [&refused.reason, cluster["message"].as_str().unwrap()] {
            assert!(told.contains(words), "{told}");
        }
        assert_eq!(cluster["state"], "running");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_closes_its_own_session_and_nothing_else() {
    let shop = Shop::open().await;
    for garbage in [vec![0xff; 100], vec![0; 65 << 10], Vec::new()] {
        let mut socket = dial(&shop.server, &shop.credential).await.unwrap();
        socket.send(Message::Binary(garbage.into())).await.unwrap();
        let end = async { while let Some(Ok(_)) = socket.next().await {} };
        tokio::time::timeout(PATIENCE, end)
            .await
            .expect("the socket is closed");
    }
    // More than a frame may be.
    let mut socket = dial(&shop.server, &shop.credential).await.unwrap();
    let sent = socket.send(Message::Binary(vec![0; 2 << 20].into())).await;
    let end = async { while let Some(Ok(_)) = socket.next().await {} };
    tokio::time::timeout(PATIENCE, end)
        .await
        .expect("the socket is closed");
    drop(sent);

    assert_eq!(shop.cluster().await["state"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_not_waited_for() {
    let shop = Shop::open().await;
    let mut mute = dial(&shop.server, &shop.credential).await.unwrap();
    let begin = Instant::now();
    while let Some(Ok(_)) = mute.next().await {}
    assert!(begin.elapsed() < PATIENCE);
    assert_eq!(shop.cluster().await["state"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_start_nobody_is_connected_who_has_not_come_back() {
    let shop = Shop::open().await;
    assert_eq!(shop.staging().await["stale"], false);
    shop.agent.cut();
    shop.server
        .sql("UPDATE clusters SET connected = 1, epoch = epoch + 1")
        .await;
    let server = shop.server.restart().await;
    let admin = server.admin();
    assert_eq!(admin.get(EAST).await.body["state"], "disconnected");
    let staging = admin.get(crate::shop::STAGING).await.body;
    assert_eq!(staging["stale"], true);
    assert!(staging["last_seen_ms"].is_i64());

    let _agent = FakeAgent::connect(&server, &shop.credential).await;
    assert_eq!(admin.get(EAST).await.body["state"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_deleted_ends_its_session() {
    let server = Server::start().await;
    server.project("shop").await;
    let token = activation(&server, "shop", "east").await;
    let mut agent = FakeAgent::connect(&server, &token).await;

    server.admin().delete(EAST).await.expect(StatusCode::NO_CONTENT);

    assert_eq!(agent.ended().await.code, ByeCode::Refused);
    assert_eq!(
        dial(&server, &agent.welcome.credential).await.unwrap_err().status,
        401
    );
}
