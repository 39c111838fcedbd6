//! What a terminal showed, kept to be played again.

use c7n_stream::{End, EndCode, Finished, Frame, Part, Size};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::site::{Running, Site, exec};
use crate::shop::STAGING;

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_recorded_once_and_without_what_was_typed() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    site.records().await;
    let Running {
        id,
        mut client,
        mut agent,
        ..
    } = site.joined(&admin, exec()).await;
    agent.output(0, "password: ").await;
    client.said().await;
    client.input(0, "hunter2\n").await;
    agent.said().await;
    client
        .piece(
            1,
            Part::Resize(Size {
                columns: 100,
                rows: 40,
            }),
        )
        .await;
    agent.said().await;
    // Said again after a break.
    agent.output(0, "password: ").await;
    client.said().await;
    agent.output(1, "\r\nwelcome €\r\n").await;
    client.said().await;
    let finished = Finished::default();
    agent.piece(2, Part::Finished(finished)).await;
    client.said().await;
    agent.say(Frame::End(End::new(EndCode::Completed, ""))).await;
    client.ended().await;

    assert_eq!(site.ended_record(&id).await["recorded"], true);
    let text = site.recording(&id).await;
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines[0]["timestamp"] = json!(0);
    let mut latest = 0.0;
    for line in &mut lines[1..] {
        let at = line[0].as_f64().unwrap();
        assert!(at >= latest, "{text}");
        latest = at;
        line[0] = json!("[time]");
    }
    insta::assert_json_snapshot!("recording", lines);

    let dev = site.server.member("dev", "shop", "developer").await;
    let path = format!("{STAGING}/streams/{id}/recording");
    dev.get(&path).await.refused(StatusCode::NOT_FOUND);
    let own = site.server.member("own", "shop", "owner").await;
    let answer = own.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_recording_there_is_no_session_where_one_is_wanted() {
    let site = Site::open().await;
    site.records().await;
    // The folder cannot be made where a file is.
    std::fs::write(site.server.data.path().join("recordings"), "").unwrap();
    let path = format!("{STAGING}/streams");
    let refused = site.server.admin().post(&path, exec()).await;
    let refused = refused.refused(StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(refused["code"], "no-recording");
    assert!(site.server.audited("stream.open").await.is_empty());
    assert_eq!(site.server.platform.open_streams(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_recorded_has_no_recording() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let running = site.joined(&admin, exec()).await;
    let path = format!("{STAGING}/streams/{}/recording", running.id);
    admin.get(&path).await.refused(StatusCode::NOT_FOUND);
    admin
        .get(&format!("{STAGING}/streams/nothing/recording"))
        .await
        .refused(StatusCode::NOT_FOUND);
}
