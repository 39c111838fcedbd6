//! `c7n port-forward`: each connection to a port of this machine is a stream of its own to a port of a pod.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use c7n_api::NewStream;
use c7n_stream::{End, EndCode, Part};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Global, InEnvironment};
use crate::streams::{Ended, Heard, Piped, Place, Signals};

const CHUNK: usize = 32 << 10;
/// To find a port that is free at every address.
const ATTEMPTS: u32 = 10;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  c7n port-forward -p shop -e staging web 8080          8080 here to 8080 of web's first pod
  c7n port-forward -p shop -e staging web-5d9c7b-x2x4z 5433:5432 9090
  c7n port-forward -p shop -e staging web :80           any free port, told on standard output
  c7n port-forward -p shop -e staging web 8080 --address 127.0.0.2,::1")]
pub struct PortForward {
    /// A pod, or an instance: then its first ready pod; `pod/NAME` and `instance/NAME` say which
    #[arg(value_name = "POD|INSTANCE")]
    name: String,
    /// Port of this machine, and port of the pod; port 0 or none before the colon is any free one
    #[arg(value_name = "[LOCAL:]REMOTE", required = true)]
    ports: Vec<Ports>,
    #[command(flatten)]
    place: InEnvironment,
    /// Where to listen, apart by commas; `localhost` is 127.0.0.1 and ::1. Another address than a loopback one lets everybody in
    /// who reaches it
    #[arg(
        long,
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = "localhost"
    )]
    address: Vec<Host>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host {
    /// Of the two loopback addresses, those that this machine has.
    Localhost,
    At(IpAddr),
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "localhost" {
            return Ok(Self::Localhost);
        }
        text.parse()
            .map(Self::At)
            .map_err(|_| format!("`{text}` is no address; it looks like 127.0.0.1, ::1 or localhost"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ports {
    local: u16,
    remote: u16,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| {
            text.parse::<u16>()
                .map_err(|_| format!("`{text}` is no port; it looks like 8080, 8080:80 or :80"))
        };
        let (local, remote) = match text.split_once(':') {
            Some(("", remote)) => (0, port(remote)?),
            Some((local, remote)) => (port(local)?, port(remote)?),
            None => (port(text)?, port(text)?),
        };
        if remote == 0 {
            return Err("a pod has no port 0".to_owned());
        }
        Ok(Self { local, remote })
    }
}

pub async fn run(global: &Global, command: PortForward) -> Result<()> {
    let place = command.place.place(global)?;
    let mut signals = Signals::listen()?;
    let pod = place.pod(&command.name).await?;
    for host in &command.address {
        if let Host::At(address) = host
            && !address.is_loopback()
        {
            eprintln!("c7n: everybody who reaches {address} can use these ports");
        }
    }
    let mut listeners = Vec::new();
    for ports in &command.ports {
        for listener in listen(&command.address, *ports).await? {
            listeners.push((listener, ports.remote));
        }
    }
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    for (listener, remote) in listeners {
        // For scripts: who reads this line can connect.
        println!("Forwarding from {} -> {remote}", listener.local_addr()?);
        let forward = Forward {
            place: place.clone(),
            pod: pod.clone(),
            remote,
        };
        tasks.spawn(accept(listener, forward, tasks.clone(), stop.clone()));
    }
    tasks.close();
    signals.next().await;
    stop.cancel();
    tasks.wait().await;
    Ok(())
}

/// The same port of all of them.
async fn listen(hosts: &[Host], ports: Ports) -> Result<Vec<TcpListener>> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match listen_at(hosts, ports.local).await {
            Ok(listeners) => return Ok(listeners),
            // Free at the first address need not be free at the next.
            Err((_, error))
                if ports.local == 0 && attempt < ATTEMPTS && error.kind() == ErrorKind::AddrInUse => {}
            Err((wanted, error)) => return Err(not_here(wanted, ports, &error)),
        }
    }
}

/// An error with where it was.
async fn listen_at(hosts: &[Host], mut port: u16) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let mut listeners = Vec::new();
    for host in hosts {
        let addresses: &[IpAddr] = match host {
            Host::At(address) => &[*address],
            Host::Localhost => &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        };
        let mut missing = None;
        let before = listeners.len();
        for address in addresses {
            let wanted = SocketAddr::new(*address, port);
            let bound = TcpListener::bind(wanted).await;
            match bound.and_then(|listener| Ok((listener.local_addr()?.port(), listener))) {
                Ok((taken, listener)) => {
                    port = taken;
                    listeners.push(listener);
                }
                // A machine without IPv6, or without IPv4.
                Err(error) if is_missing(&error) => missing = Some((wanted, error)),
                Err(error) => return Err((wanted, error)),
            }
        }
        if let Some(missing) = missing.filter(|_| listeners.len() == before) {
            return Err(missing);
        }
    }
    Ok(listeners)
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

fn not_here(wanted: SocketAddr, ports: Ports, error: &io::Error) -> anyhow::Error {
    let next = match error.kind() {
        ErrorKind::AddrNotAvailable => "name an address of this machine with `--address`".to_owned(),
        _ => format!("choose another port, or any free one with `:{}`", ports.remote),
    };
    anyhow!("listening at {wanted}: {error}\n  next: {next}")
}

#[derive(Clone)]
struct Forward {
    place: Place,
    pod: String,
    remote: u16,
}

async fn accept(listener: TcpListener, forward: Forward, tasks: TaskTracker, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((connection, _)) => {
                let (forward, stop) = (forward.clone(), stop.clone());
                tasks.spawn(async move {
                    if let Err(error) = forward.carry(connection, stop).await {
                        eprintln!("c7n: port {} of {}: {error:#}", forward.remote, forward.pod);
                    }
                });
            }
            // Of one connection, or too many files are open: the next may work.
            Err(error) => {
                eprintln!("c7n: a connection could not be taken: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

impl Forward {
    async fn carry(&self, connection: TcpStream, stop: CancellationToken) -> Result<()> {
        connection.set_nodelay(true)?;
        let wish = NewStream::PortForward {
            pod: self.pod.clone(),
            port: self.remote,
        };
        let opening = async {
            let ticket = self.place.open(&wish).await?;
            Piped::open(&self.place.client, &ticket).await
        };
        let mut piped = tokio::select! {
            piped = opening => piped?,
            () = stop.cancelled() => return Ok(()),
        };
        let carried = tokio::select! {
            carried = carry(&mut piped, connection) => carried,
            () = stop.cancelled() => Ok(()),
        };
        piped.leave().await;
        carried
    }
}

async fn carry(piped: &mut Piped, mut connection: TcpStream) -> Result<()> {
    let (mut from, mut to) = connection.split();
    let mut chunk = vec![0; CHUNK];
    let mut open = true;
    // What came and is not written yet, and how much of it is.
    let mut waiting = std::collections::VecDeque::new();
    let mut written = 0;
    loop {
        let has_room = open && piped.has_room();
        let writing = async {
            match waiting.front() {
                Some(Part::Output(bytes)) => to.write(&bytes[written..]).await,
                Some(_) => to.shutdown().await.map(|()| 0),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            heard = piped.hear() => match heard? {
                Heard::Part(part @ (Part::Output(_) | Part::OutputEnd)) => waiting.push_back(part),
                Heard::Part(_) => piped.consumed(),
                Heard::Room => {}
                Heard::Away(what) => eprintln!("c7n: {what}"),
                Heard::Back => eprintln!("c7n: it goes on"),
                Heard::End(end) => return over(end),
            },
            read = from.read(&mut chunk), if has_room => match read {
                Ok(0) => {
                    open = false;
                    piped.offer(Part::InputEnd);
                }
                Ok(count) => piped.offer(Part::Input(Bytes::copy_from_slice(&chunk[..count]))),
                // Who connected has gone, without a goodbye.
                Err(_) => return Ok(()),
            },
            wrote = writing => {
                let Ok(count) = wrote else { return Ok(()) };
                written += count;
                let done = match waiting.front() {
                    Some(Part::Output(bytes)) => written == bytes.len(),
                    _ => true,
                };
                if done {
                    waiting.pop_front();
                    written = 0;
                    piped.consumed();
                }
            }
        }
    }
}

fn over(end: End) -> Result<()> {
    match EndCode::try_from(end.code) {
        Ok(EndCode::Completed | EndCode::Left) => Ok(()),
        _ => Err(Ended(end).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_kubectl_reads_them() {
        let at = |text: &str| Ok(Host::At(text.parse().unwrap()));
        assert_eq!("localhost".parse(), Ok(Host::Localhost));
        assert_eq!("127.0.0.2".parse(), at("127.0.0.2"));
        assert_eq!("::1".parse(), at("::1"));
        for text in ["", "example.com", "127.0.0.1:80", "[::1]"] {
            let refused = text.parse::<Host>().unwrap_err();
            assert!(refused.contains("it looks like"), "{refused}");
        }
    }

    #[test]
    fn ports_are_read_as_people_write_them() {
        let read = |text: &str| {
            text.parse::<Ports>()
                .ok()
                .map(|ports| (ports.local, ports.remote))
        };
        for (text, ports) in [
            ("8080", Some((8080, 8080))),
            ("8080:80", Some((8080, 80))),
            (":80", Some((0, 80))),
            ("0:80", Some((0, 80))),
            ("80:0", None),
            ("0", None),
            ("70000", None),
            ("a:80", None),
            ("", None),
            (":", None),
            ("1:2:3", None),
        ] {
            assert_eq!(read(text), ports, "{text}");
        }
    }
}
