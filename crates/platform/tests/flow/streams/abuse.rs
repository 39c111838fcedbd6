//! Ends that do not keep to the protocol, and readers that do not read.

use std::time::{Duration, Instant};

use bytes::Bytes;
use c7n_stream::{End, EndCode, Frame, MAX_FRAME, Part, Peer, Piece, Seated};
use futures_util::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as Fragment;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::ends::{PATIENCE, log_bytes, text_of, told};
use super::site::{Running, Site, exec, logs};

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_keep_to_the_protocol_ends_its_stream_and_no_other() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let mut witness = site.joined(&admin, exec()).await;
    let frame = |frame: Frame| Message::Binary(frame.encode());
    let bytes = |bytes: &[u8]| Message::Binary(Bytes::copy_from_slice(bytes));
    let output = || {
        let part = Part::Output(Bytes::from_static(b"x"));
        frame(Frame::Piece(Piece { seq: 0, part }))
    };
    let seated = Seated {
        resume: Bytes::new(),
        patience_ms: 1,
    };
    let of_a_client = [
        Message::Text("hello".into()),
        bytes(&[]),
        bytes(&[99]),
        bytes(&[16, 0, 0]),
        bytes(&[3, 0xff, 0xff]),
        bytes(&vec![16; MAX_FRAME + 1]),
        output(),
        frame(log_bytes("x")),
        frame(Frame::Seated(seated)),
        frame(Frame::Peer(Peer { present: true })),
    ];
    for message in of_a_client {
        let what = format!("{message:?}").chars().take(60).collect::<String>();
        let Running {
            mut client,
            mut agent,
            ..
        } = site.joined(&admin, exec()).await;
        // A frame that is far too long may be cut off while it is written.
        let _ = client.socket.send(message).await;
        let end = agent.ended().await;
        assert_eq!(end.code(), EndCode::ProtocolError, "{what}: {end:?}");
        told(&end, EndCode::ProtocolError);
        client.closed().await;
    }
    let Running {
        mut client,
        mut agent,
        ..
    } = site.joined(&admin, logs()).await;
    agent.send(output()).await;
    told(&client.ended().await, EndCode::ProtocolError);

    witness.client.input(0, "still here").await;
    assert_eq!(text_of(witness.agent.said().await), "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_in_fragments_of_one_byte_arrives_whole() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let Running {
        mut client,
        mut agent,
        ..
    } = site.joined(&admin, exec()).await;
    let part = Part::Input(Bytes::from_static(b"in small steps"));
    let whole = Frame::Piece(Piece { seq: 0, part }).encode();
    for (at, byte) in whole.iter().enumerate() {
        let kind = if at == 0 { Data::Binary } else { Data::Continue };
        let last = at + 1 == whole.len();
        let fragment = Fragment::message(vec![*byte], OpCode::Data(kind), last);
        client.send(Message::Frame(fragment)).await;
        client.send(Message::Ping(Bytes::new())).await;
    }
    assert_eq!(text_of(agent.said().await), "in small steps");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stalls_holds_back_its_source_and_nobody_else() {
    let mut site = Site::open_with(|config| config.stream_times.stalled = Duration::from_secs(10)).await;
    let admin = site.server.admin();
    let Running {
        id,
        client: stalled,
        agent: mut source,
        ..
    } = site.joined(&admin, logs()).await;
    let mut other = site.joined(&admin, exec()).await;
    let text = "x".repeat(32 << 10);
    let mut sent = 0_usize;
    while timeout(
        Duration::from_millis(500),
        source.socket.send(Message::Binary(log_bytes(&text).encode())),
    )
    .await
    .is_ok()
    {
        sent += text.len();
        assert!(sent < 64 << 20, "nothing holds the source back");
    }
    for seq in 0..50 {
        other.client.input(seq, "x").await;
        other.agent.said().await;
    }
    let record = site.record(&id).await;
    assert!(
        record["ended_ms"].is_null(),
        "the other had to wait for it: {record}"
    );
    let record = site.ended_record(&id).await;
    assert!(
        record["end"].as_str().unwrap().contains("nothing was read"),
        "{record}"
    );
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_socket_is_lost_and_one_that_answers_is_not() {
    let mut site = Site::open_with(|config| {
        config.stream_times.ping = Duration::from_millis(300);
        config.stream_times.silence = Duration::from_secs(4);
    })
    .await;
    let admin = site.server.admin();
    let Running {
        id,
        client,
        mut agent,
        ..
    } = site.joined(&admin, exec()).await;
    // A client that is not polled answers no ping; its socket stays open.
    agent.peer(false).await;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(6) {
        // The agent reads, so that its library answers.
        let _ = timeout(Duration::from_millis(100), agent.frame()).await;
    }
    assert!(site.record(&id).await["ended_ms"].is_null(), "the agent is there");
    agent.say(Frame::End(End::new(EndCode::Completed, ""))).await;
    drop(client);
    site.ended_record(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_said_what_it_wants_is_not_waited_for_long() {
    let site = Site::open_with(|config| config.stream_times.handshake = Duration::from_secs(4)).await;
    let address = site.server.platform.http_addr();
    // A connection that is reset has ended as well.
    let ended = async |mut socket: TcpStream| {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, socket.read_to_end(&mut rest))
            .await
            .expect("an end");
        String::from_utf8_lossy(&rest).into_owned()
    };

    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /api/v1/streams HTTP/1.1\r\nhost: x\r\n")
        .await
        .unwrap();
    let answer = ended(slow).await;
    assert!(!answer.contains("101"), "{answer}");

    let mut long = TcpStream::connect(address).await.unwrap();
    let _ = long
        .write_all(b"GET /api/v1/streams HTTP/1.1\r\nhost: x\r\nx: ")
        .await;
    let _ = long.write_all(&vec![b'x'; 40 << 10]).await;
    assert!(!ended(long).await.contains("200 OK"));

    let mut refused = TcpStream::connect(address).await.unwrap();
    let upgrade = "GET /api/v1/streams HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
                   sec-websocket-protocol: c7n.stream.v1, c7n.ticket.AAAAAAAAAAAAAAAAAAAAAA\r\n\r\n";
    // What follows a refusal is never read as a request.
    let smuggled = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    refused
        .write_all(format!("{upgrade}{smuggled}").as_bytes())
        .await
        .unwrap();
    let answer = ended(refused).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}
