//! How long a reader that is cut off goes on trying.

use c7n_api::LogTarget;
use serde_json::json;
use tokio::time::timeout;

use super::*;
use crate::client::Client;
use fake::{Fake, Seat, TOKEN, position};

#[allow(dead_code, reason = "other tests need the rest")]
#[path = "../../../tests/streams/fake.rs"]
mod fake;

/// A log that is followed over breaks of so long, and whose first line was read.
async fn followed(fake: &mut Fake, patience: Duration) -> (Logs, Seat) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::new(&format!("http://{}", fake.address), Some(TOKEN.to_owned())).unwrap();
    let wish = ReadLogs {
        target: LogTarget::Pod("web-a".to_owned()),
        container: None,
        all_containers: false,
        previous: false,
        follow: true,
        timestamps: false,
        since_ms: None,
        tail: None,
        from: Vec::new(),
    };
    let place = Place::new(client, "shop", "staging");
    let other_side = async {
        fake.opened().await;
        let mut seat = fake.seat(None).await;
        seat.say(Frame::Peer(Peer { present: true })).await;
        seat
    };
    let (logs, seat) = tokio::join!(Logs::open_for(place, wish, patience), other_side);
    (logs.unwrap(), seat)
}

/// Reads until bytes come, or it is given up; with the words for the person before.
async fn read(logs: &mut Logs) -> (Vec<String>, Result<Bytes>) {
    let mut words = Vec::new();
    let reading = async {
        loop {
            match logs.next().await {
                Ok(Line::Word(word)) => words.push(word),
                Ok(Line::Bytes(_, bytes)) => return Ok(bytes),
                Ok(Line::Ended(_) | Line::End) => bail!("the log ended"),
                Err(error) => return Err(error),
            }
        }
    };
    let outcome = timeout(fake::PATIENCE, reading).await.expect("nothing comes");
    (words, outcome)
}

#[tokio::test]
async fn who_is_cut_off_for_too_long_is_told_so() {
    let mut fake = Fake::start().await;
    let patience = Duration::from_secs(2);
    let (mut logs, mut seat) = followed(&mut fake, patience).await;
    seat.source(0, "web-a", LogSourceState::Open).await;
    seat.bytes(0, "one\n", position(1, LogPosition::WHOLE)).await;
    assert_eq!(read(&mut logs).await.1.unwrap(), "one\n");

    fake.away(true);
    drop(seat);
    let cut = Instant::now();
    let (words, outcome) = read(&mut logs).await;

    let error = format!("{:#}", outcome.unwrap_err());
    assert!(cut.elapsed() >= patience, "{:?}", cut.elapsed());
    assert_eq!(words, ["the connection is lost; trying again for 2 s"]);
    assert!(
        error.starts_with("the log broke off and could not be gone on with for 2 s: ")
            && error.ends_with("\n  next: is the server running, and is its URL right?"),
        "{error}"
    );
}

#[tokio::test]
async fn who_is_cut_off_for_almost_as_long_goes_on_where_it_was() {
    let mut fake = Fake::start().await;
    let patience = Duration::from_secs(3);
    let (mut logs, mut seat) = followed(&mut fake, patience).await;
    seat.source(0, "web-a", LogSourceState::Open).await;
    seat.bytes(0, "one\ntw", position(7, 2)).await;
    assert_eq!(read(&mut logs).await.1.unwrap(), "one\ntw");

    // Twice: the second break has all of the time again.
    for number in 2..4_u64 {
        fake.away(true);
        drop(seat);
        let almost = async {
            sleep(patience.mul_f32(0.9)).await;
            fake.away(false);
            let wanted = fake.opened().await;
            let from = json!([{
                "pod_uid": "0b5c7a3e-web-a", "container": "app", "time_ns": 7, "nth": 1, "offset": number,
            }]);
            assert_eq!(wanted["from"], from);
            let mut seat = fake.seat(None).await;
            seat.source(0, "web-a", LogSourceState::Open).await;
            seat.bytes(0, "o", position(7, number + 1)).await;
            seat
        };
        let ((words, outcome), back) = tokio::join!(read(&mut logs), almost);
        seat = back;
        assert_eq!(outcome.unwrap(), "o");
        assert_eq!(
            words,
            ["the connection is lost; trying again for 3 s", "the logs go on"]
        );
    }
}

#[tokio::test]
async fn a_break_after_a_long_silence_is_a_new_one() {
    let mut fake = Fake::start().await;
    let (mut logs, seat) = followed(&mut fake, Duration::from_secs(3)).await;
    // No container is there yet, and nothing is said of any, before and after a first break.
    drop(seat);
    let silent = async {
        fake.opened().await;
        let seat = fake.seat(None).await;
        sleep(SETTLED + Duration::from_secs(1)).await;
        fake.away(true);
        drop(seat);
        // Until an attempt has failed.
        fake.turned_away().await;
        fake.away(false);
        fake.opened().await;
        let mut seat = fake.seat(None).await;
        seat.source(0, "web-a", LogSourceState::Open).await;
        seat.bytes(0, "one\n", position(1, LogPosition::WHOLE)).await;
        seat
    };
    let ((_, outcome), _seat) = tokio::join!(read(&mut logs), silent);
    assert_eq!(outcome.unwrap(), "one\n");
}
