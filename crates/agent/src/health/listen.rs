//! Answers the kubelet. HTTP/1.1 as far as two paths need it (RFC 9112), one request per connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::readiness::Readiness;

/// One answer, from the connection to the last byte.
const DEADLINE: Duration = Duration::from_secs(2);
const AT_ONCE: usize = 8;
/// The first line of any request that is meant for us is shorter.
const REQUEST: usize = 2048;

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthListen {
    Tcp(SocketAddr),
    /// Two copies on one node that use its network do not meet here.
    Unix(PathBuf),
}

impl FromStr for HealthListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
            return Ok(Self::Unix(path.into()));
        }
        text.strip_prefix("tcp:")
            .and_then(|address| address.parse().ok())
            .map(Self::Tcp)
            .ok_or_else(|| "it should look like tcp:127.0.0.1:8081 or unix:/tmp/health.sock".to_owned())
    }
}

pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub async fn bind(place: &HealthListen) -> std::io::Result<Self> {
        match place {
            HealthListen::Tcp(address) => match TcpListener::bind(address).await {
                // A kernel without IPv6 has no "all addresses" of it.
                Err(_) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                    let instead = (Ipv4Addr::UNSPECIFIED, address.port());
                    Ok(Self::Tcp(TcpListener::bind(instead).await?))
                }
                bound => Ok(Self::Tcp(bound?)),
            },
            HealthListen::Unix(path) => {
                // What a killed run left there answers nobody.
                match std::fs::remove_file(path) {
                    Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(cause),
                    _ => {}
                }
                Ok(Self::Unix(UnixListener::bind(path)?))
            }
        }
    }

    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Self::Unix(_) => None,
        }
    }

    /// Answers until `shutdown`.
    pub async fn run(self, readiness: Readiness, shutdown: CancellationToken) {
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let mut answers = JoinSet::new();
        loop {
            let permit = tokio::select! {
                () = shutdown.cancelled() => return,
                Ok(permit) = Arc::clone(&permits).acquire_owned() => permit,
            };
            let readiness = readiness.clone();
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                Some(_) = answers.join_next() => continue,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok(stream) => drop(answers.spawn(async move {
                    let _ = timeout(DEADLINE, answer(stream, &readiness)).await;
                    drop(permit);
                })),
                // For instance no descriptors left: not to be asked again at once.
                Err(cause) => {
                    tracing::warn!(%cause, "a probe could not be taken");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    async fn accept(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn answer(mut stream: Box<dyn Stream>, readiness: &Readiness) -> std::io::Result<()> {
    let mut request = Vec::with_capacity(256);
    while !request.windows(2).any(|two| two == b"\r\n") && request.len() < REQUEST {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let text = respond(&request, readiness);
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

fn respond(request: &[u8], readiness: &Readiness) -> String {
    let line = String::from_utf8_lossy(request);
    let mut words = line.lines().next().unwrap_or_default().split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, body) = match (method, path.split('?').next().unwrap_or_default()) {
        ("GET" | "HEAD", "/healthz") => ("200 OK", "ok".to_owned()),
        ("GET" | "HEAD", "/readyz") => match readiness.get() {
            Ok(words) => ("200 OK", words),
            Err(words) => ("503 Service Unavailable", words),
        },
        _ => ("404 Not Found", "there is /healthz and /readyz".to_owned()),
    };
    let body = body.replace(['\r', '\n'], " ") + "\n";
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}",
        body.len(),
        if method == "HEAD" { "" } else { &body }
    )
}

#[cfg(test)]
mod tests {
    use super::super::probe::{Probe, ask};
    use super::*;

    #[test]
    fn places_are_read() {
        assert_eq!(
            "tcp:[::]:8081".parse(),
            Ok(HealthListen::Tcp("[::]:8081".parse().unwrap()))
        );
        assert_eq!(
            "unix:/tmp/h.sock".parse(),
            Ok(HealthListen::Unix("/tmp/h.sock".into()))
        );
        for wrong in ["", "8081", "127.0.0.1:8081", "unix:h.sock", "tcp:host:1"] {
            assert!(wrong.parse::<HealthListen>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_two_paths_are_there_and_the_words_are_one_line() {
        let readiness = Readiness::not_yet("line\r\nbreak");
        let answers = |request: &str| respond(request.as_bytes(), &readiness);
        assert!(answers("GET /healthz HTTP/1.1\r\n").starts_with("HTTP/1.1 200 "));
        let unready = answers("GET /readyz HTTP/1.1\r\n");
        assert!(
            unready.starts_with("HTTP/1.1 503 ") && unready.ends_with("\r\n\r\nline  break\n"),
            "{unready}"
        );
        for other in [
            "GET / HTTP/1.1\r\n",
            "POST /readyz HTTP/1.1\r\n",
            "\r\n",
            "GET\r\n",
        ] {
            assert!(answers(other).starts_with("HTTP/1.1 404 "), "{other}");
        }
        assert!(answers("HEAD /healthz HTTP/1.1\r\n").ends_with("\r\n\r\n"));
    }

    #[tokio::test]
    async fn a_socket_answers_and_those_who_say_nothing_do_not_hold_it_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("health.sock");
        let readiness = Readiness::not_yet("not yet");
        let listener = Listener::bind(&HealthListen::Unix(path.clone())).await.unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(listener.run(readiness.clone(), shutdown.clone()));
        let mute: Vec<_> = {
            let mut mute = Vec::new();
            for _ in 0..AT_ONCE {
                mute.push(tokio::net::UnixStream::connect(&path).await.unwrap());
            }
            mute
        };

        let begun = std::time::Instant::now();
        let asked = async || loop {
            let probe = Probe {
                socket: path.clone(),
                what: "readyz".into(),
            };
            match ask(probe).await {
                // One who asks has little patience; on a busy machine too little.
                Err(error) if error.to_string().contains("in time") && begun.elapsed().as_secs() < 30 => {}
                answer => return answer,
            }
        };
        assert_eq!(asked().await.unwrap_err().to_string(), "not yet");
        readiness.ready("stands by");
        assert_eq!(asked().await.unwrap(), "stands by");

        drop(mute);
        shutdown.cancel();
        timeout(Duration::from_secs(60), running).await.unwrap().unwrap();
    }
}
