use std::time::{Duration, Instant};

use bytes::Bytes;
use c7n_stream::{End, EndCode, Finished, Frame, Part, Peer, Pipe};
use tokio::io::AsyncWriteExt;

use crate::fake::{Fake, PATIENCE, ticket};
use crate::pod::{part, say_all};

#[tokio::test]
async fn a_process_goes_on_in_another_seat_and_its_exit_code_arrives() {
    let mut fake = Fake::start().await;
    let mut command = fake.command(&["exec", "-i", "pod/web-a"]);
    command.arg("--").arg("work").stdin(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let wanted = fake.opened().await;
    assert_eq!(wanted["command"], serde_json::json!(["work"]));
    let mut seat = fake.seat(Some(1)).await;
    assert_eq!(seat.ticket, ticket(0));
    seat.say(Frame::Peer(Peer { present: true })).await;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"first").await.unwrap();
    let mut pod = Pipe::new();
    assert_eq!(
        part(&mut seat, &mut pod).await,
        Part::Input(Bytes::from_static(b"first"))
    );
    pod.consumed();
    pod.offer(Part::Output(Bytes::from_static(b"out 1\n")));
    say_all(&mut seat, &mut pod).await;
    // What is said now is lost on the way.
    pod.offer(Part::ErrorOutput(Bytes::from_static(b"err\n")));
    let _lost = pod.poll();
    let broken = Instant::now();
    drop(seat);

    let mut seat = fake.seat(Some(2)).await;
    assert_eq!(seat.ticket, ticket(1), "with the ticket of the first seat");
    seat.say(Frame::Peer(Peer { present: true })).await;
    stdin.write_all(b"second").await.unwrap();
    drop(stdin);
    let mut typed = Vec::new();
    loop {
        match part(&mut seat, &mut pod).await {
            Part::Input(bytes) => typed.extend_from_slice(&bytes),
            Part::InputEnd => break,
            other => panic!("{other:?}"),
        }
        pod.consumed();
    }
    pod.consumed();
    assert_eq!(typed, b"second");
    let at_most = broken.elapsed();
    pod.offer(Part::Finished(Finished {
        exit_code: 5,
        message: String::new(),
    }));
    while !pod.is_settled() {
        say_all(&mut seat, &mut pod).await;
        pod.receive(seat.hear().await.unwrap()).unwrap();
    }
    seat.say(Frame::End(End::new(EndCode::Completed, ""))).await;
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert_eq!(output.stdout, b"out 1\n");
    let words = String::from_utf8_lossy(&output.stderr);
    if at_most < Duration::from_secs(1) {
        assert_eq!(words, "err\n", "a short break is not told");
    } else {
        // On a busy machine it may have been long enough to be told.
        assert!(words.lines().any(|line| line == "err"), "{words}");
    }
}

#[tokio::test]
async fn input_waits_for_who_does_not_take_it_and_all_of_it_arrives() {
    let mut fake = Fake::start().await;
    let mut command = fake.command(&["exec", "-i", "pod/web-a"]);
    command.arg("--").arg("work").stdin(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    fake.opened().await;
    let mut seat = fake.seat(Some(1)).await;
    let mut stdin = child.stdin.take().unwrap();
    let noise: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let sent = noise.clone();
    let feeding = tokio::spawn(async move {
        stdin.write_all(&sent).await.unwrap();
    });
    // Before the pod's end is there nothing is said: it would be lost.
    seat.say(Frame::Peer(Peer { present: false })).await;
    seat.say(Frame::Peer(Peer { present: true })).await;
    let mut pod = Pipe::new();
    let (mut heard, mut held) = (Vec::new(), 0);
    while heard.len() < noise.len() {
        match part(&mut seat, &mut pod).await {
            Part::Input(bytes) => heard.extend_from_slice(&bytes),
            other => panic!("{other:?}"),
        }
        // In portions, so that the window closes again and again.
        held += 1;
        if held == 4 {
            (0..held).for_each(|_| pod.consumed());
            held = 0;
        }
    }
    assert!(heard == noise);
    feeding.await.unwrap();
    assert_eq!(part(&mut seat, &mut pod).await, Part::InputEnd);
    child.kill().await.unwrap();
}
