//! Where `c7n port-forward` listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use c7n_stream::{End, EndCode, Frame, Peer};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use crate::fake::{Fake, PATIENCE};

struct Forwarding {
    _child: Child,
    told: Lines<BufReader<ChildStdout>>,
}

impl Forwarding {
    fn start(fake: &Fake, rest: &[&str]) -> Self {
        let arguments = [&["port-forward", "pod/web-a"], rest].concat();
        let mut child = fake.command(&arguments).spawn().unwrap();
        let told = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, told }
    }

    /// Where it says that it listens next.
    async fn listens(&mut self) -> SocketAddr {
        let line = timeout(PATIENCE, self.told.next_line()).await;
        let line = line.expect("nothing is told").unwrap().expect("it ended");
        let address = line
            .strip_prefix("Forwarding from ")
            .and_then(|rest| rest.strip_suffix(" -> 80"));
        address.unwrap_or_else(|| panic!("{line}")).parse().unwrap()
    }
}

/// A connection there becomes a stream to the pod.
async fn leads_to_the_pod(fake: &mut Fake, address: SocketAddr) {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let wanted = fake.opened().await;
    assert_eq!(
        (&wanted["pod"], &wanted["port"]),
        (&json!("web-a"), &json!(80)),
        "{wanted}"
    );
    let mut seat = fake.seat(Some(1)).await;
    seat.say(Frame::Peer(Peer { present: true })).await;
    seat.say(Frame::End(End::new(EndCode::Completed, ""))).await;
    let read = timeout(PATIENCE, connection.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap_or(0), 0);
}

#[tokio::test]
async fn without_a_word_it_listens_on_loopback_alone() {
    let mut fake = Fake::start().await;
    let mut forwarding = Forwarding::start(&fake, &[":80"]);
    let first = forwarding.listens().await;
    assert_eq!(first.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    leads_to_the_pod(&mut fake, first).await;
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        let second = forwarding.listens().await;
        assert_eq!(second, SocketAddr::new(Ipv6Addr::LOCALHOST.into(), first.port()));
        leads_to_the_pod(&mut fake, second).await;
    }
    // Nobody comes in by another address.
    let elsewhere = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 9).into(), first.port());
    assert!(TcpStream::connect(elsewhere).await.is_err());
}

#[tokio::test]
async fn it_listens_where_it_is_told_to() {
    let mut fake = Fake::start().await;
    let mut forwarding = Forwarding::start(&fake, &[":80", "--address", "127.0.0.2,127.0.0.3"]);
    let first = forwarding.listens().await;
    let second = forwarding.listens().await;
    assert_eq!(first.ip(), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
    assert_eq!(
        second,
        SocketAddr::new(Ipv4Addr::new(127, 0, 0, 3).into(), first.port())
    );
    leads_to_the_pod(&mut fake, first).await;
    leads_to_the_pod(&mut fake, second).await;
    let elsewhere = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 9).into(), first.port());
    assert!(TcpStream::connect(elsewhere).await.is_err());
}

#[tokio::test]
async fn an_address_that_others_reach_is_warned_of() {
    let fake = Fake::start().await;
    // Of no machine (RFC 5737): it is warned before it is tried.
    let mut command = fake.command(&["port-forward", "pod/web-a", ":80", "--address", "192.0.2.1"]);
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.starts_with("c7n: everybody who reaches 192.0.2.1 can use these ports\n")
            && told.contains("next: name an address of this machine with `--address`"),
        "{told}"
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_and_nothing_is_forwarded() {
    let fake = Fake::start().await;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ports = format!("{}:80", taken.local_addr().unwrap().port());
    let mut command = fake.command(&["port-forward", "pod/web-a", &ports]);
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        output.stdout.is_empty() && told.contains("next: choose another port, or any free one with `:80`"),
        "{told}"
    );
}
