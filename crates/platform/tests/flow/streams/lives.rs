//! A stream from its opening to its line in the audit log.

use c7n_link::messages::{LogTarget, Wish};
use c7n_stream::{End, EndCode, Finished, Frame, LogNotice, LogSource, Part, Size};
use reqwest::StatusCode;
use serde_json::json;

use super::ends::{join_client, text_of, told};
use super::site::{Running, Site, exec, logs};
use crate::fake_agent::FakeAgent;
use crate::shop::{EAST, STAGING, Shop, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_runs_and_its_exit_code_is_kept() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let Running {
        id,
        open,
        mut client,
        mut agent,
    } = site.joined(&admin, exec()).await;
    assert_eq!(open.environment_id, site.id);
    assert_eq!(open.reviewed_user, "", "the platform's own rights are enough");
    let Some(Wish::Exec(process)) = open.wish else {
        panic!("{open:?}")
    };
    assert_eq!((process.pod.as_str(), process.columns), ("web-0", 90));

    client.input(0, "id\n").await;
    client
        .piece(
            1,
            Part::Resize(Size {
                columns: 100,
                rows: 40,
            }),
        )
        .await;
    assert_eq!(text_of(agent.said().await), "id\n");
    assert!(matches!(agent.said().await, Some(Frame::Piece(piece)) if piece.seq == 1));
    agent.say(Frame::Ack(2)).await;
    assert_eq!(client.said().await, Some(Frame::Ack(2)));
    agent.output(0, "uid=0(root)\n").await;
    assert_eq!(text_of(client.said().await), "uid=0(root)\n");
    agent.output(0, "uid=0(root)\n").await;
    client.said().await;
    let finished = Finished {
        exit_code: 3,
        message: String::new(),
    };
    agent.piece(1, Part::Finished(finished.clone())).await;
    assert!(
        matches!(client.said().await, Some(Frame::Piece(piece)) if piece.part == Part::Finished(finished))
    );
    agent.say(Frame::End(End::new(EndCode::Completed, ""))).await;
    assert_eq!(client.ended().await, End::new(EndCode::Completed, ""));
    agent.closed().await;

    let record = site.ended_record(&id).await;
    let expected = json!({
        "id": id, "kind": "exec", "username": "admin", "environment": "staging", "target": "web-0", "container": null,
        "command": ["sh", "-c", "id"], "opened_ms": record["opened_ms"], "ended_ms": record["ended_ms"],
        "exit_code": 3, "end": "completed", "bytes_in": 3, "bytes_out": 12, "recorded": false,
    });
    assert_eq!(record, expected, "what was said twice is counted once");
    let line = format!("environment/staging/stream/{id}/exec/web-0");
    for verb in ["stream.open", "stream.end"] {
        assert_eq!(site.server.audited(verb).await, std::slice::from_ref(&line));
    }
    eventually("its place is free", async || {
        site.server.platform.open_streams() == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_flows_until_the_person_leaves() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let wish = json!({"kind": "logs", "target": {"instance": "shop"}, "follow": true, "tail": 5});
    let Running {
        id,
        open,
        mut client,
        mut agent,
    } = site.joined(&admin, wish).await;
    assert!(
        client.resume.is_empty() && agent.resume.is_empty(),
        "a log is opened anew"
    );
    let Some(Wish::Logs(read)) = open.wish else {
        panic!("{open:?}")
    };
    assert_eq!(read.target, Some(LogTarget::Release("shop".into())));
    assert_eq!((read.follow, read.tail), (true, Some(5)));

    let said = [
        Frame::LogSource(LogSource::default()),
        super::ends::log_bytes("one\n\0\u{fffd}"),
        Frame::LogNotice(LogNotice { text: "so".into() }),
    ];
    for frame in &said {
        agent.say(frame.clone()).await;
    }
    for frame in said {
        assert_eq!(client.said().await, Some(frame));
    }
    client.say(Frame::End(End::new(EndCode::Left, ""))).await;
    assert_eq!(agent.ended().await.code(), EndCode::Left);
    client.closed().await;

    let record = site.ended_record(&id).await;
    assert_eq!(record["end"], "left");
    assert_eq!(record["target"], "instance shop");
    assert_eq!(record["bytes_out"], 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_forwarded_in_both_directions() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let wish = json!({"kind": "port-forward", "pod": "db-0", "port": 5432});
    let Running {
        id,
        mut client,
        mut agent,
        ..
    } = site.joined(&admin, wish).await;
    client.input(0, "ask").await;
    client.piece(1, Part::InputEnd).await;
    assert_eq!(text_of(agent.said().await), "ask");
    agent.output(0, "answer").await;
    agent.piece(1, Part::OutputEnd).await;
    assert_eq!(text_of(client.said().await), "answer");
    agent.say(Frame::End(End::new(EndCode::Completed, ""))).await;
    client.ended().await;
    assert_eq!(site.ended_record(&id).await["target"], "db-0:5432");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_agent_cannot_do_is_told_to_the_person_and_kept() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let Running {
        id,
        mut client,
        mut agent,
        ..
    } = site.joined(&admin, exec()).await;
    let end = End::new(EndCode::NoShell, "the container has no shell; name a program");
    agent.say(Frame::End(end.clone())).await;
    assert_eq!(client.ended().await, end);
    assert_eq!(site.ended_record(&id).await["end"], end.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_away_or_too_old_is_told_at_once() {
    let site = Site::open().await;
    let admin = site.server.admin();
    let path = format!("{STAGING}/streams");
    let (id, ticket) = site.opened(&admin, exec()).await;
    site.agent.cut();
    // Not by asking for streams: one that is opened before the platform has noticed would count.
    eventually("the agent is away", async || {
        admin.get(EAST).await.body["state"] == "disconnected"
    })
    .await;
    let away = admin.post(&path, exec()).await.refused(StatusCode::CONFLICT);
    assert_eq!(away["code"], "cluster-away");
    let mut client = join_client(&site.server, &ticket).await.unwrap();
    told(&client.ended().await, EndCode::ClusterAway);
    let server = site.server;
    let _old = FakeAgent::connect(&server, &site.credential).await;
    let old = server
        .admin()
        .post(&path, exec())
        .await
        .refused(StatusCode::CONFLICT);
    assert_eq!(old["code"], "agent-too-old");
    assert_eq!(server.audited("stream.open").await.len(), 1, "{id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_does_not_come_is_not_waited_for_long() {
    let site = Site::open_with(|config| {
        config.stream_times.agent = std::time::Duration::from_millis(200);
    })
    .await;
    let (id, ticket) = site.opened(&site.server.admin(), logs()).await;
    let mut client = join_client(&site.server, &ticket).await.unwrap();
    told(&client.ended().await, EndCode::ClusterAway);
    assert!(
        site.ended_record(&id).await["end"]
            .as_str()
            .unwrap()
            .contains("c7n cluster show")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_that_cannot_be_are_refused_before_anything_is_opened() {
    let shop = Shop::open().await;
    let admin = shop.server.admin();
    let path = format!("{STAGING}/streams");
    let bad = json!({"kind": "exec", "pod": "../secrets"});
    admin
        .post(&path, bad)
        .await
        .refused(StatusCode::UNPROCESSABLE_ENTITY);
    let bad = json!({"kind": "run"});
    admin
        .post(&path, bad)
        .await
        .refused(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(shop.server.audited("stream.open").await.is_empty());
}
