use c7n_stream::{End, EndCode, Frame, LogPosition, LogSourceState, Peer};
use serde_json::json;

use crate::fake::{Fake, PATIENCE, position};

#[tokio::test]
async fn after_a_break_what_follows_the_newest_position_is_asked_for() {
    let mut fake = Fake::start().await;
    let child = fake
        .command(&["logs", "-f", "web-a", "--tail", "5"])
        .spawn()
        .unwrap();
    let wanted = fake.opened().await;
    assert_eq!(wanted["target"], json!({"pod": "web-a"}));
    assert_eq!(wanted["tail"], 5);
    assert_eq!(wanted["from"], json!([]));
    let mut seat = fake.seat(None).await;
    seat.say(Frame::Peer(Peer { present: true })).await;
    seat.source(0, "web-a", LogSourceState::Open).await;
    seat.bytes(0, "one\ntw", position(77, 2)).await;
    // The platform goes away, and the next one sends it away once more.
    drop(seat);
    fake.opened().await;
    let mut seat = fake.seat(None).await;
    seat.say(Frame::End(End::new(EndCode::GoingAway, "it stops")))
        .await;

    let wanted = fake.opened().await;
    assert_eq!(
        wanted["from"],
        json!([{"pod_uid": "0b5c7a3e-web-a", "container": "app", "time_ns": 77, "nth": 1, "offset": 2}])
    );
    assert_eq!(wanted["tail"], json!(null), "the tail was shown already");
    assert_eq!(wanted["follow"], true);
    let mut seat = fake.seat(None).await;
    seat.source(9, "web-a", LogSourceState::Open).await;
    seat.bytes(9, "o\n", position(77, LogPosition::WHOLE)).await;
    seat.source(9, "web-a", LogSourceState::Ended).await;
    seat.say(Frame::End(End::new(EndCode::Completed, ""))).await;

    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one\ntwo\n");
}

#[tokio::test]
async fn lines_of_two_pods_stay_whole_over_a_break() {
    let mut fake = Fake::start().await;
    let child = fake.command(&["logs", "instance/web"]).spawn().unwrap();
    assert_eq!(fake.opened().await["target"], json!({"instance": "web"}));
    let mut seat = fake.seat(None).await;
    seat.say(Frame::Peer(Peer { present: true })).await;
    seat.source(0, "web-a", LogSourceState::Open).await;
    seat.source(1, "web-b", LogSourceState::Open).await;
    seat.bytes(0, "half ", position(1, 5)).await;
    seat.bytes(1, "whole\n", position(1, LogPosition::WHOLE)).await;
    drop(seat);
    assert_eq!(fake.opened().await["from"].as_array().unwrap().len(), 2);
    let mut seat = fake.seat(None).await;
    seat.source(0, "web-b", LogSourceState::Open).await;
    seat.source(1, "web-a", LogSourceState::Open).await;
    seat.bytes(0, "another\n", position(2, LogPosition::WHOLE)).await;
    seat.bytes(1, "a line\nend", position(2, 3)).await;
    seat.say(Frame::End(End::new(EndCode::Completed, ""))).await;

    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "web-b | whole\nweb-b | another\nweb-a | half a line\nweb-a | end\n"
    );
}

#[tokio::test]
async fn a_right_that_is_gone_is_told_and_nothing_is_tried_again() {
    let mut fake = Fake::start().await;
    let child = fake.command(&["logs", "-f", "web-a"]).spawn().unwrap();
    fake.opened().await;
    let mut seat = fake.seat(None).await;
    seat.say(Frame::Peer(Peer { present: true })).await;
    seat.say(Frame::End(End::new(EndCode::Forbidden, "ask an owner")))
        .await;
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "c7n: ask an owner\n");
}

#[tokio::test]
async fn much_passes_unchanged() {
    const FRAMES: i64 = 2000;
    let mut fake = Fake::start().await;
    let started = std::time::Instant::now();
    let child = fake.command(&["logs", "web-a"]).spawn().unwrap();
    fake.opened().await;
    let mut seat = fake.seat(None).await;
    seat.source(0, "web-a", LogSourceState::Open).await;
    let text = "0123456789abcdef".repeat(2048);
    let said = async {
        for number in 0..FRAMES {
            seat.bytes(0, &text, position(number, 1)).await;
        }
        seat.say(Frame::End(End::new(EndCode::Completed, ""))).await;
        seat
    };
    let (_seat, output) = tokio::join!(said, child.wait_with_output());
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout == text.repeat(2000).into_bytes());
    let megabytes = output.stdout.len() as f64 / 1e6;
    eprintln!("{:.0} MB/s", megabytes / started.elapsed().as_secs_f64());
}
