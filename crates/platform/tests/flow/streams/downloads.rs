//! A log as the body of an answer.

use c7n_link::messages::{OpenStream, Say, Wish};
use c7n_stream::{End, EndCode, Frame, LogSource, LogSourceState};
use futures_util::StreamExt;
use reqwest::{Method, Response, StatusCode};

use super::ends::{StreamEnd, join_agent};
use super::site::Site;
use crate::server::Person;
use crate::shop::{STAGING, eventually};

const LOG: &str = "/projects/shop/environments/staging/pods/web-0/log";

/// The answer that is on its way, and the agent's end of it.
async fn asked(
    site: &mut Site,
    who: &Person,
    query: &str,
) -> (tokio::task::JoinHandle<Response>, OpenStream, StreamEnd) {
    let request = who.request(Method::GET, &format!("{LOG}{query}"));
    let answer = tokio::spawn(async move { request.send().await.unwrap() });
    let open = site
        .agent
        .hear("the stream", |say| match say {
            Say::OpenStream(open) => Some(open.clone()),
            _ => None,
        })
        .await;
    let agent = join_agent(&site.server, &site.credential, &open.ticket)
        .await
        .unwrap();
    (answer, open, agent)
}

fn source(state: LogSourceState) -> Frame {
    Frame::LogSource(LogSource {
        state: state.into(),
        message: "its log was deleted".into(),
        ..LogSource::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_downloaded_whole() {
    let mut site = Site::open().await;
    let dev = site.server.member("dev", "shop", "developer").await;
    let (answer, open, mut agent) = asked(&mut site, &dev, "?container=main&tail=7&previous=true").await;
    assert!(
        matches!(&open.wish, Some(Wish::Logs(logs)) if logs.container == "main" && logs.tail == Some(7) && logs.previous && !logs.follow),
        "{open:?}"
    );
    agent.say(source(LogSourceState::Open)).await;
    let line = "x".repeat(1000) + "\n";
    for _ in 0..5000 {
        agent.log(&line).await;
    }
    agent.say(source(LogSourceState::Ended)).await;
    agent.say(Frame::End(End::new(EndCode::Completed, ""))).await;

    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let name = answer.headers()["content-disposition"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(name, "attachment; filename=\"web-0-main.log\"");
    let text = answer.text().await.unwrap();
    assert_eq!(text.len(), 5000 * line.len());
    assert!(text == line.repeat(5000), "what came is other than what was said");
    agent.closed().await;
    let record = site.ended_record(&open.stream_id).await;
    assert_eq!(
        (&record["end"], &record["bytes_out"]),
        (&"completed".into(), &5_005_000.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_breaks_off_is_never_taken_for_the_whole() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    for how in ["end", "cut", "source"] {
        let (answer, _, mut agent) = asked(&mut site, &admin, "").await;
        agent.log("the beginning\n").await;
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        match how {
            "end" => {
                let end = End::new(EndCode::Failed, "the kubelet broke it off; try again");
                agent.say(Frame::End(end)).await;
            }
            "source" => agent.say(source(LogSourceState::Failed)).await,
            _ => drop(agent),
        }
        assert!(answer.text().await.is_err(), "{how}");
    }
    eventually("nothing is left", async || {
        site.server.platform.open_streams() == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_an_answer_and_no_empty_log() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let (answer, _, mut agent) = asked(&mut site, &admin, "").await;
    let end = End::new(
        EndCode::NotFound,
        "there is no pod web-0; look with `c7n env objects`",
    );
    agent.say(Frame::End(end)).await;
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let problem: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(problem["title"], "there is no pod web-0");
    assert_eq!(problem["next"], "look with `c7n env objects`");

    let viewer = site.server.member("vic", "shop", "viewer").await;
    viewer.get(LOG).await.refused(StatusCode::FORBIDDEN);
    let bad = format!("{STAGING}/pods/web_0/log");
    admin.get(&bad).await.refused(StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_hangs_up_ends_the_log() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let (answer, open, mut agent) = asked(&mut site, &admin, "").await;
    agent.log("the beginning\n").await;
    let mut body = answer.await.unwrap().bytes_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), "the beginning\n");
    drop(body);
    drop(admin);
    assert_eq!(agent.ended().await.code(), EndCode::Left);
    assert_eq!(site.ended_record(&open.stream_id).await["end"], "left");
}
