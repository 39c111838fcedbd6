use std::future::ready;

use c7n_stream::{MAX_PIECE, WINDOW};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tokio_util::sync::CancellationToken;

use super::super::pod::Io;
use super::super::wire::Wire;
use super::*;
use crate::session::Door;

/// Of these tests: long enough that what goes on is not taken for an end on a busy machine.
const QUIET: Duration = Duration::from_secs(3);
const STALL: Duration = Duration::from_secs(5);

/// Bytes and nothing else, as of a port; the end of the input cannot be said.
struct Plain;

impl Channels for Plain {
    fn hear(&mut self, message: Bytes) -> Heard {
        Heard::Output(message)
    }

    fn say(&mut self, part: &Part) -> Result<Option<Bytes>, &'static str> {
        match part {
            Part::Input(bytes) => Ok(Some(bytes.clone())),
            _ => Ok(None),
        }
    }

    fn has_ended(&self) -> bool {
        false
    }

    fn over(&mut self, _: &str) -> Over {
        Over::OutputEnd
    }
}

/// A pump between a person's socket and a port's.
struct Scene {
    person: WebSocketStream<TcpStream>,
    port: WebSocketStream<DuplexStream>,
    pump: JoinHandle<Option<End>>,
}

async fn scene() -> Scene {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let near = WebSocketStream::from_raw_socket(MaybeTlsStream::Plain(near), Role::Client, None).await;
    let (inner, outer) = duplex(4096);
    let io: Box<dyn Io> = Box::new(inner);
    let started = Started {
        wire: Wire::new(WebSocketStream::from_raw_socket(io, Role::Client, None).await),
        channels: Box::new(Plain),
        first: None,
    };
    let pump = tokio::spawn(async move {
        let nowhere = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = kube::Client::try_from(nowhere).unwrap();
        let ground = Ground {
            client: client.clone(),
            plain: client,
            namespace: "shop".into(),
            reviewer: None,
            shutdown: CancellationToken::new(),
        };
        let door = Door::new("ws://127.0.0.1:1/agent/", None, 1 << 20).unwrap();
        let gate = Gate::new(door, watch::Sender::new(None).subscribe());
        let mut seat = Seat {
            wire: Wire::new(near),
            resume: None,
            patience: Duration::from_secs(60),
        };
        let starting: Starting = Box::pin(ready(Ok(started)));
        let end = run(&ground, &gate, &mut seat, starting, Some(QUIET)).await;
        seat.leave(end.clone()).await;
        end
    });
    Scene {
        person: WebSocketStream::from_raw_socket(far, Role::Server, None).await,
        port: WebSocketStream::from_raw_socket(outer, Role::Server, None).await,
        pump,
    }
}

/// What the person says, and then that this was all.
async fn say(pipe: &mut Pipe, person: &mut WebSocketStream<TcpStream>, parts: Vec<Part>) {
    for part in parts.into_iter().chain([Part::InputEnd]) {
        pipe.offer(part);
    }
    while let Some(frame) = pipe.poll() {
        person.send(Message::Binary(frame.encode())).await.unwrap();
    }
}

/// How many bytes come to the end of the stream; before it `stall` is waited for when a window is full.
async fn count(
    pipe: &mut Pipe,
    person: &mut WebSocketStream<TcpStream>,
    stall: Option<Duration>,
) -> (usize, bool) {
    let (mut bytes, mut ended, mut stall) = (0, false, stall);
    while let Some(Ok(message)) = person.next().await {
        let Message::Binary(message) = message else {
            continue;
        };
        let frame = Frame::decode(message).unwrap();
        if matches!(frame, Frame::End(_)) {
            continue;
        }
        let Some(part) = pipe.receive(frame).unwrap() else {
            continue;
        };
        match &part {
            Part::Output(output) => bytes += output.len(),
            Part::OutputEnd => ended = true,
            other => panic!("{other:?}"),
        }
        if bytes + 2 * MAX_PIECE > WINDOW
            && let Some(stall) = stall.take()
        {
            sleep(stall).await;
        }
        pipe.consumed();
        while let Some(frame) = pipe.poll() {
            let _ = person.send(Message::Binary(frame.encode())).await;
        }
    }
    (bytes, ended)
}

#[tokio::test]
async fn a_port_is_not_quiet_while_its_person_does_not_read() {
    const MESSAGES: usize = 4 * WINDOW / MAX_PIECE;
    let Scene {
        mut person,
        mut port,
        pump,
    } = scene().await;
    let mut pipe = Pipe::new();
    say(&mut pipe, &mut person, Vec::new()).await;
    let said = tokio::spawn(async move {
        for _ in 0..MESSAGES {
            port.send(Message::Binary(vec![7; MAX_PIECE].into()))
                .await
                .unwrap();
        }
        port.close(None).await.unwrap();
        while port.next().await.is_some() {}
    });
    let came = count(&mut pipe, &mut person, Some(STALL)).await;
    assert_eq!(came, (MESSAGES * MAX_PIECE, true));
    said.await.unwrap();
    assert_eq!(pump.await.unwrap().map(|it| it.code()), Some(EndCode::Completed));
}

#[tokio::test]
async fn a_port_is_not_quiet_while_it_does_not_take_what_its_person_said() {
    const PARTS: usize = 3;
    let Scene {
        mut person,
        mut port,
        pump,
    } = scene().await;
    let mut pipe = Pipe::new();
    let part = Part::Input(vec![7; MAX_PIECE].into());
    say(&mut pipe, &mut person, vec![part; PARTS]).await;
    let (answered, heard) = oneshot::channel();
    let port = tokio::spawn(async move {
        sleep(STALL).await;
        let mut bytes = 0;
        while bytes < PARTS * MAX_PIECE
            && let Some(Ok(message)) = port.next().await
        {
            bytes += message.len();
        }
        let _ = answered.send(bytes);
        let _ = port.send(Message::Binary("thanks".into())).await;
        let _ = port.close(None).await;
        while port.next().await.is_some() {}
    });
    let came = count(&mut pipe, &mut person, None).await;
    assert_eq!(heard.await, Ok(PARTS * MAX_PIECE));
    assert_eq!(came, ("thanks".len(), true));
    port.await.unwrap();
    assert_eq!(pump.await.unwrap().map(|it| it.code()), Some(EndCode::Completed));
}

#[tokio::test]
async fn a_port_of_which_nothing_comes_after_the_last_word_is_given_up() {
    let Scene {
        mut person,
        port: _port,
        pump,
    } = scene().await;
    let mut pipe = Pipe::new();
    say(&mut pipe, &mut person, Vec::new()).await;
    let begun = Instant::now();
    assert_eq!(count(&mut pipe, &mut person, None).await, (0, true));
    assert!(begun.elapsed() >= QUIET);
    assert_eq!(pump.await.unwrap().map(|it| it.code()), Some(EndCode::Completed));
}
