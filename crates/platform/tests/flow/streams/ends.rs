//! A person's end and an agent's end.

use std::time::Duration;

use bytes::Bytes;
use c7n_stream::{
    AGENT_PATH, CLIENT_PATH, End, EndCode, Frame, LogBytes, LogPosition, Part, Peer, Piece, SUBPROTOCOL,
    TICKET_HEADER, TICKET_PROTOCOL, Ticket,
};
use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::fake_agent::{Refused, Socket};
use crate::server::Server;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct StreamEnd {
    pub socket: Socket,
    /// The ticket for the next time; empty for a log.
    pub resume: Bytes,
}

async fn dial(server: &Server, path: &str, headers: &[(&'static str, String)]) -> Result<StreamEnd, Refused> {
    let url = server.url().replace("http://", "ws://") + path;
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let socket = match connect_async(request).await {
        Ok((socket, answer)) => {
            assert_eq!(answer.headers()["sec-websocket-protocol"], SUBPROTOCOL);
            socket
        }
        Err(Error::Http(answer)) => {
            assert_eq!(answer.headers()["connection"], "close");
            return Err(Refused {
                status: answer.status().as_u16(),
                words: String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into_owned(),
            });
        }
        Err(other) => panic!("{other}"),
    };
    let mut end = StreamEnd {
        socket,
        resume: Bytes::new(),
    };
    match end.frame().await {
        Some(Frame::Seated(seated)) => end.resume = seated.resume,
        other => panic!("the first frame is {other:?}"),
    }
    Ok(end)
}

/// A person's end, as a browser dials: the ticket is a subprotocol.
pub async fn join_client(server: &Server, ticket: &str) -> Result<StreamEnd, Refused> {
    let protocols = format!("{SUBPROTOCOL}, {TICKET_PROTOCOL}{ticket}");
    dial(server, CLIENT_PATH, &[("sec-websocket-protocol", protocols)]).await
}

pub async fn join_client_as(server: &Server, ticket: &str, token: &str) -> Result<StreamEnd, Refused> {
    let protocols = format!("{SUBPROTOCOL}, {TICKET_PROTOCOL}{ticket}");
    let headers = [
        ("sec-websocket-protocol", protocols),
        ("authorization", format!("Bearer {token}")),
    ];
    dial(server, CLIENT_PATH, &headers).await
}

pub async fn join_agent(server: &Server, credential: &str, ticket: &[u8]) -> Result<StreamEnd, Refused> {
    let headers = [
        ("sec-websocket-protocol", SUBPROTOCOL.to_owned()),
        ("authorization", format!("Bearer {credential}")),
        (TICKET_HEADER, reveal(ticket)),
    ];
    dial(server, AGENT_PATH, &headers).await
}

/// A ticket as it stands in a header.
pub fn reveal(ticket: &[u8]) -> String {
    Ticket::from_slice(ticket).unwrap().reveal()
}

impl StreamEnd {
    pub async fn say(&mut self, frame: Frame) {
        self.send(Message::Binary(frame.encode())).await;
    }

    pub async fn send(&mut self, message: Message) {
        let sent = timeout(PATIENCE, self.socket.send(message)).await;
        sent.expect("a platform that takes it").expect("an open socket");
    }

    pub async fn piece(&mut self, seq: u64, part: Part) {
        self.say(Frame::Piece(Piece { seq, part })).await;
    }

    pub async fn output(&mut self, seq: u64, text: &str) {
        self.piece(seq, Part::Output(Bytes::copy_from_slice(text.as_bytes())))
            .await;
    }

    pub async fn input(&mut self, seq: u64, text: &str) {
        self.piece(seq, Part::Input(Bytes::copy_from_slice(text.as_bytes())))
            .await;
    }

    pub async fn log(&mut self, text: &str) {
        self.say(log_bytes(text)).await;
    }

    /// Everything that was said is carried out: the platform answers a ping in its turn.
    pub async fn settled(&mut self) {
        let mark = Bytes::from_static(b"settled");
        self.send(Message::Ping(mark.clone())).await;
        loop {
            let next = timeout(PATIENCE, self.socket.next()).await;
            match next.expect("a pong in time") {
                Some(Ok(Message::Pong(payload))) if payload == mark => return,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next frame; `None` when the socket is over.
    pub async fn frame(&mut self) -> Option<Frame> {
        loop {
            match timeout(PATIENCE, self.socket.next())
                .await
                .expect("a frame in time")
            {
                Some(Ok(Message::Binary(bytes))) => return Some(Frame::decode(bytes).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(other)) => panic!("{other:?}"),
            }
        }
    }

    /// The next frame that is no word about the other seat.
    pub async fn said(&mut self) -> Option<Frame> {
        loop {
            match self.frame().await {
                Some(Frame::Peer(_)) => {}
                other => return other,
            }
        }
    }

    pub async fn peer(&mut self, present: bool) {
        assert_eq!(self.frame().await, Some(Frame::Peer(Peer { present })));
    }

    /// The end, whatever comes before it; then the socket is closed.
    pub async fn ended(&mut self) -> End {
        let end = loop {
            match self.frame().await {
                Some(Frame::End(end)) => break end,
                Some(_) => {}
                None => panic!("the socket closed without an end"),
            }
        };
        assert_eq!(self.frame().await, None, "nothing follows an end");
        end
    }

    pub async fn closed(&mut self) {
        while self.frame().await.is_some() {}
    }
}

pub fn log_bytes(text: &str) -> Frame {
    Frame::LogBytes(LogBytes {
        source: 0,
        end: LogPosition::default(),
        bytes: Bytes::copy_from_slice(text.as_bytes()),
    })
}

pub fn text_of(frame: Option<Frame>) -> String {
    match frame {
        Some(Frame::Piece(Piece {
            part: Part::Output(bytes) | Part::ErrorOutput(bytes) | Part::Input(bytes),
            ..
        })) => String::from_utf8_lossy(&bytes).into_owned(),
        Some(Frame::LogBytes(log)) => String::from_utf8_lossy(&log.bytes).into_owned(),
        other => panic!("no bytes of people: {other:?}"),
    }
}

/// The code, and words that say what to do next.
#[track_caller]
pub fn told(end: &End, code: EndCode) {
    assert_eq!(end.code(), code, "{end:?}");
    assert!(end.message.contains("; "), "an end says what to do next: {end:?}");
}
