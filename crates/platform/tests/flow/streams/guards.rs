//! Who may, how many, how long; and that what is taken away while it goes on is cut.

use std::time::Duration;

use c7n_platform::Config;
use c7n_stream::EndCode;
use reqwest::StatusCode;
use serde_json::json;

use super::ends::told;
use super::site::{Running, Site, exec, logs};
use crate::shop::{STAGING, eventually};

fn quick(config: &mut Config) {
    config.stream_times.recheck = Duration::from_millis(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_decides_unless_an_owner_has_said_otherwise() {
    let site = Site::open().await;
    let server = &site.server;
    let path = format!("{STAGING}/streams");
    let viewer = server.member("vic", "shop", "viewer").await;
    let developer = server.member("dev", "shop", "developer").await;
    let owner = server.member("own", "shop", "owner").await;
    let stranger = server.user("eve").await;
    for (person, wish, status) in [
        (&viewer, logs(), StatusCode::FORBIDDEN),
        (&developer, logs(), StatusCode::CREATED),
        (&developer, exec(), StatusCode::FORBIDDEN),
        (&owner, logs(), StatusCode::CREATED),
        (&owner, exec(), StatusCode::CREATED),
        (&stranger, logs(), StatusCode::NOT_FOUND),
    ] {
        let answer = person.post(&path, wish.clone()).await;
        assert_eq!(answer.status, status, "{wish} {}", answer.body);
    }
    let refused = viewer.post(&path, logs()).await.refused(StatusCode::FORBIDDEN);
    assert!(
        refused["next"].as_str().unwrap().contains("c7n env rights"),
        "{refused}"
    );

    let rights = format!("{STAGING}/rights");
    developer.get(&rights).await.refused(StatusCode::FORBIDDEN);
    let of_vic = format!("{rights}/vic");
    let given = owner
        .put(&of_vic, json!({"logs": true}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(given, json!({"username": "vic", "logs": true, "exec": null}));
    viewer.post(&path, logs()).await.expect(StatusCode::CREATED);
    viewer.post(&path, exec()).await.refused(StatusCode::FORBIDDEN);
    let of_own = format!("{rights}/own");
    server
        .admin()
        .put(&of_own, json!({"exec": false}))
        .await
        .expect(StatusCode::OK);
    owner.post(&path, exec()).await.refused(StatusCode::FORBIDDEN);
    owner
        .put(&format!("{rights}/eve"), json!({"logs": true}))
        .await
        .refused(StatusCode::NOT_FOUND);
    let all = owner.get(&rights).await.expect(StatusCode::OK);
    assert_eq!(
        all,
        json!([{"username": "own", "logs": null, "exec": false}, {"username": "vic", "logs": true, "exec": null}])
    );
    owner.delete(&of_vic).await.expect(StatusCode::NO_CONTENT);
    owner.get(&of_vic).await.refused(StatusCode::NOT_FOUND);
    viewer.post(&path, logs()).await.refused(StatusCode::FORBIDDEN);
    assert_eq!(
        server
            .audited("put")
            .await
            .iter()
            .filter(|line| line.contains("rights"))
            .collect::<Vec<_>>(),
        [
            "environment/staging/rights/vic/logs=yes,exec=role",
            "environment/staging/rights/own/logs=role,exec=no"
        ]
    );

    server
        .admin()
        .put(&of_vic, json!({"logs": true}))
        .await
        .expect(StatusCode::OK);
    let member = "/projects/shop/members/vic";
    server.admin().delete(member).await.expect(StatusCode::NO_CONTENT);
    server
        .admin()
        .put(member, json!({"role": "viewer"}))
        .await
        .expect(StatusCode::OK);
    viewer.post(&path, logs()).await.refused(StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_an_owners_and_reach_the_agent() {
    let mut site = Site::open().await;
    let owner = site.server.member("own", "shop", "owner").await;
    let developer = site.server.member("dev", "shop", "developer").await;
    let path = format!("{STAGING}/stream-settings");
    let fresh = json!({"record_exec": false, "review_access": false, "idle_minutes": 30});
    assert_eq!(owner.get(&path).await.expect(StatusCode::OK), fresh);
    developer.get(&path).await.refused(StatusCode::FORBIDDEN);
    let strict = json!({"record_exec": false, "review_access": true, "idle_minutes": 5});
    developer
        .put(&path, strict.clone())
        .await
        .refused(StatusCode::FORBIDDEN);
    owner.put(&path, strict.clone()).await.expect(StatusCode::OK);
    assert_eq!(owner.get(&path).await.expect(StatusCode::OK), strict);
    for minutes in [0, 1441] {
        let bad = json!({"record_exec": false, "review_access": true, "idle_minutes": minutes});
        owner
            .put(&path, bad)
            .await
            .refused(StatusCode::UNPROCESSABLE_ENTITY);
    }

    let running = site.joined(&owner, exec()).await;
    assert_eq!(running.open.reviewed_user, "own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_cuts_what_goes_on() {
    let mut site = Site::open_with(quick).await;
    let dev = site.server.member("dev", "shop", "developer").await;
    let admin = site.server.admin();

    let mut by_right = site.joined(&dev, logs()).await;
    let rights = format!("{STAGING}/rights/dev");
    admin
        .put(&rights, json!({"logs": false}))
        .await
        .expect(StatusCode::OK);
    told(&by_right.client.ended().await, EndCode::Forbidden);
    told(&by_right.agent.ended().await, EndCode::Forbidden);
    admin
        .put(&rights, json!({"exec": true}))
        .await
        .expect(StatusCode::OK);

    let mut by_token = site.joined(&dev, exec()).await;
    let mut by_membership = site.joined(&site.server.admin(), exec()).await;
    let tokens = dev.get("/me/tokens").await.body;
    let token = format!("/me/tokens/{}", tokens[0]["id"].as_str().unwrap());
    dev.delete(&token).await.expect(StatusCode::NO_CONTENT);
    told(&by_token.client.ended().await, EndCode::Forbidden);
    told(&by_token.agent.ended().await, EndCode::Forbidden);

    by_membership.client.input(0, "still here").await;
    assert_eq!(
        super::ends::text_of(by_membership.agent.said().await),
        "still here"
    );
    site.server.sql("DELETE FROM environments").await;
    told(&by_membership.client.ended().await, EndCode::Forbidden);
    told(&by_membership.agent.ended().await, EndCode::Forbidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_is_removed_is_cut() {
    let mut site = Site::open_with(quick).await;
    let dev = site.server.member("dev", "shop", "developer").await;
    let Running {
        id,
        mut client,
        agent: _agent,
        ..
    } = site.joined(&dev, logs()).await;
    site.server
        .admin()
        .delete("/projects/shop/members/dev")
        .await
        .expect(StatusCode::NO_CONTENT);
    told(&client.ended().await, EndCode::Forbidden);
    assert!(
        site.ended_record(&id).await["end"]
            .as_str()
            .unwrap()
            .contains("taken away")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_only_so_many_of_a_user_and_of_a_cluster() {
    let mut site = Site::open_with(|config| {
        config.streams_per_user = 2;
        config.streams_per_cluster = 3;
    })
    .await;
    let path = format!("{STAGING}/streams");
    let dev = site.server.member("dev", "shop", "developer").await;
    let own = site.server.member("own", "shop", "owner").await;
    let one = site.joined(&dev, logs()).await;
    site.opened(&dev, logs()).await;
    let refused = dev
        .post(&path, logs())
        .await
        .refused(StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused["code"], "too-many-streams");
    site.opened(&own, logs()).await;
    let refused = own
        .post(&path, exec())
        .await
        .refused(StatusCode::TOO_MANY_REQUESTS);
    assert!(
        refused["title"].as_str().unwrap().contains("cluster"),
        "{refused}"
    );

    drop(one);
    eventually("a place is free", async || {
        own.post(&path, exec()).await.status == StatusCode::CREATED
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_nobody_uses_is_ended() {
    // The half an hour of an environment is four and a half seconds.
    let mut site = Site::open_with(|config| config.stream_times.minute = Duration::from_millis(150)).await;
    let admin = site.server.admin();
    let mut log = site.joined(&admin, logs()).await;
    let Running {
        id,
        mut client,
        mut agent,
        ..
    } = site.joined(&admin, exec()).await;
    let began = std::time::Instant::now();
    for seq in 0..6 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.input(seq, "x").await;
        agent.said().await;
    }
    let end = client.ended().await;
    told(&end, EndCode::Idle);
    assert!(
        began.elapsed() > Duration::from_secs(10),
        "what is typed keeps it"
    );
    agent.ended().await;
    assert_eq!(site.ended_record(&id).await["end"], end.message);
    log.agent.log("a log may be silent").await;
    log.client.said().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_stops_tells_both_ends_and_writes_it_down() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let Running {
        id,
        mut client,
        mut agent,
        ..
    } = site.joined(&admin, exec()).await;
    let crashed = format!(
        "INSERT INTO stream_records (id, project_id, environment_id, environment, user_id, username, kind, target, command, \
         opened_ms) VALUES ('crashed', 'p', '{}', 'staging', 'u', 'ann', 'exec', 'web-1', '[]', 1)",
        site.id
    );
    site.server.sql(&crashed).await;
    let Site {
        server, agent: link, ..
    } = site;
    let stopped = tokio::spawn(server.restart());
    told(&client.ended().await, EndCode::GoingAway);
    told(&agent.ended().await, EndCode::GoingAway);
    drop((client, agent, link));
    let server = stopped.await.unwrap();

    let page = server
        .admin()
        .get(&format!("{STAGING}/streams"))
        .await
        .expect(StatusCode::OK);
    let end = |id: &str| {
        let all = page["items"].as_array().unwrap();
        let one = all.iter().find(|record| record["id"] == id).unwrap();
        one["end"].as_str().unwrap_or("none").to_owned()
    };
    assert!(end(&id).contains("restarts"), "{page}");
    assert!(end("crashed").contains("without a word"), "{page}");
    assert_eq!(server.audited("stream.end").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_see_the_streams_of_all_and_others_their_own() {
    let site = Site::open().await;
    let dev = site.server.member("dev", "shop", "developer").await;
    let (of_admin, _) = site.opened(&site.server.admin(), logs()).await;
    let (of_dev, _) = site.opened(&dev, logs()).await;
    let ids = async |who: &crate::server::Person, query: &str| {
        let page = who
            .get(&format!("{STAGING}/streams{query}"))
            .await
            .expect(StatusCode::OK);
        let items = page["items"].as_array().unwrap().clone();
        let ids: Vec<String> = items
            .iter()
            .map(|r| r["id"].as_str().unwrap().to_owned())
            .collect();
        (ids, page["next"].as_str().map(str::to_owned))
    };
    assert_eq!(ids(&dev, "").await, (vec![of_dev.clone()], None));
    let (first, next) = ids(&site.server.admin(), "?limit=1").await;
    assert_eq!(first, [of_dev]);
    let after = format!("?limit=1&after={}", next.unwrap());
    assert_eq!(ids(&site.server.admin(), &after).await, (vec![of_admin], None));
}
