//! Opens the WebSocket: address, proxy, TLS, handshake, all under one deadline.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use c7n_stream::{MAX_FRAME, Ticket};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error as WsError;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response, Uri, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::proxy::{self, ProxyError};
use crate::config::Token;

/// From the first packet to the open WebSocket.
const DEADLINE: Duration = Duration::from_secs(20);

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("{url:?} is no address of a platform; it looks like wss://c7n.example.com/agent/ (--connect)")]
    BadUrl { url: String },
    #[error("cannot use the certificate authorities in {path}: {reason} (--ca-file)")]
    CaFile { path: PathBuf, reason: String },
    #[error("{host} cannot be reached: {reason}")]
    Unreachable { host: String, reason: String },
    #[error(
        "{host} shows a certificate that nobody vouches for ({reason}); give the file with the platform's own authorities \
         with --ca-file (ca.bundle of the chart)"
    )]
    Untrusted { host: String, reason: String },
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error("{host} did not answer within {} s", DEADLINE.as_secs())]
    Timeout { host: String },
    #[error("the platform refused the token: {words}")]
    TokenRefused { words: String },
    #[error("the platform answered {status}{}", .words.as_ref().map(|words| format!(": {words}")).unwrap_or_default())]
    Refused {
        status: u16,
        words: Option<String>,
        retry_after: Option<Duration>,
    },
}

impl DialError {
    /// `words`: the platform's own, if it had any.
    pub(super) fn token_refused(words: Option<String>) -> Self {
        let usual = "it may be used, expired or of another platform; get a new activation command with \
                     `c7n cluster activation`";
        Self::TokenRefused {
            words: words.unwrap_or_else(|| usual.to_owned()),
        }
    }
}

/// Where to dial, checked once.
#[derive(Clone)]
pub struct Door {
    url: String,
    tls: bool,
    host: String,
    port: u16,
    connector: Option<Connector>,
    limits: WebSocketConfig,
}

impl Door {
    pub fn new(url: &str, ca_file: Option<&Path>, max_frame: usize) -> Result<Self, DialError> {
        let bad = || DialError::BadUrl { url: url.to_owned() };
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let tls = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => false,
            _ => return Err(bad()),
        };
        // A credential in an address ends up in the logs of every proxy on the way.
        if uri
            .authority()
            .is_none_or(|authority| authority.as_str().contains('@'))
            || uri.query().is_some()
        {
            return Err(bad());
        }
        let host = uri.host().ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let connector = ca_file.map(trusting).transpose()?;
        let limits = WebSocketConfig::default()
            .read_buffer_size(16 << 10)
            .write_buffer_size(16 << 10)
            .max_message_size(Some(max_frame))
            .max_frame_size(Some(max_frame));
        Ok(Self {
            url: url.to_owned(),
            tls,
            host,
            port,
            connector,
            limits,
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn dial(&self, token: &Token) -> Result<Socket, DialError> {
        match tokio::time::timeout(DEADLINE, self.dial_at_leisure(token)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(DialError::Timeout {
                host: self.host.clone(),
            }),
        }
    }

    /// Would the platform take in who shows this token? Opens nothing there.
    pub async fn probe(&self, token: &Token) -> Result<(), DialError> {
        let url = format!("{}/probe", self.url.trim_end_matches('/'));
        let outcome = match tokio::time::timeout(DEADLINE, self.dial_to(&url, token)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                return Err(DialError::Timeout {
                    host: self.host.clone(),
                });
            }
        };
        match outcome {
            // Nobody opens a socket there, but what answers is a platform.
            Ok(_)
            | Err(DialError::Refused {
                status: 204 | 404, ..
            }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes the agent's seat of a stream (`c7n_stream`).
    pub async fn take_seat(&self, token: &Token, ticket: &Ticket) -> Result<Socket, DialError> {
        // The link's address is the folder of `c7n_stream::AGENT_PATH`.
        let url = format!("{}/stream", self.url.trim_end_matches('/'));
        let limits = stream_limits();
        let dialled = self.dial_with(&url, token, c7n_stream::SUBPROTOCOL, Some(ticket), limits);
        match tokio::time::timeout(DEADLINE, dialled).await {
            Ok(outcome) => outcome,
            Err(_) => Err(DialError::Timeout {
                host: self.host.clone(),
            }),
        }
    }

    async fn dial_at_leisure(&self, token: &Token) -> Result<Socket, DialError> {
        self.dial_to(&self.url, token).await
    }

    async fn dial_to(&self, url: &str, token: &Token) -> Result<Socket, DialError> {
        self.dial_with(url, token, c7n_link::SUBPROTOCOL, None, self.limits)
            .await
    }

    async fn dial_with(
        &self,
        url: &str,
        token: &Token,
        subprotocol: &'static str,
        ticket: Option<&Ticket>,
        limits: WebSocketConfig,
    ) -> Result<Socket, DialError> {
        let bad = || DialError::BadUrl { url: url.to_owned() };
        let mut request = url.into_client_request().map_err(|_| bad())?;
        // A token that cannot stand in a header cannot be one of the platform's.
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.reveal()))
            .map_err(|_| DialError::token_refused(None))?;
        authorization.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, authorization);
        if let Some(ticket) = ticket {
            let mut shown =
                HeaderValue::try_from(ticket.reveal()).map_err(|_| DialError::token_refused(None))?;
            shown.set_sensitive(true);
            request.headers_mut().insert(c7n_stream::TICKET_HEADER, shown);
        }
        let subprotocol = HeaderValue::from_static(subprotocol);
        request
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);

        let stream = self.reach().await?;
        client_async_tls_with_config(request, stream, Some(limits), self.connector.clone())
            .await
            .map(|(socket, _)| socket)
            .map_err(|error| self.explain(error))
    }

    async fn reach(&self) -> Result<TcpStream, DialError> {
        let proxy = proxy::proxy_for(self.tls, &self.host, |name| std::env::var(name).ok())?;
        let (host, port) = proxy
            .as_ref()
            .map_or((&self.host, self.port), |proxy| (&proxy.host, proxy.port));
        let unreachable = |cause: std::io::Error| DialError::Unreachable {
            host: host.clone(),
            reason: cause.to_string(),
        };
        let mut stream = TcpStream::connect((host.as_str(), port))
            .await
            .map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        if let Some(proxy) = &proxy {
            let target = if self.host.contains(':') {
                format!("[{}]", self.host)
            } else {
                self.host.clone()
            };
            proxy::connect(&mut stream, proxy, &format!("{target}:{}", self.port)).await?;
        }
        Ok(stream)
    }

    fn explain(&self, error: WsError) -> DialError {
        match error {
            WsError::Http(answer) => refusal(&answer),
            WsError::Io(cause) if bad_certificate(&cause).is_some() => DialError::Untrusted {
                host: self.host.clone(),
                reason: bad_certificate(&cause).unwrap_or_default(),
            },
            other => DialError::Unreachable {
                host: self.host.clone(),
                reason: other.to_string(),
            },
        }
    }
}

/// Small, because there can be thousands of streams: a frame that is read, and two that are written.
pub fn stream_limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .write_buffer_size(64 << 10)
        .max_write_buffer_size((64 << 10) + 2 * MAX_FRAME)
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME))
}

/// What is wrong with the certificate, if that is what TLS stumbled over.
fn bad_certificate(cause: &std::io::Error) -> Option<String> {
    match cause.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(what) => Some(what.to_string()),
        _ => None,
    }
}

fn refusal(answer: &Response<Option<Vec<u8>>>) -> DialError {
    let retry_after = answer
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let words = answer
        .body()
        .as_ref()
        .map(|body| String::from_utf8_lossy(body))
        .and_then(|body| {
            let first: String = body
                .lines()
                .next()?
                .chars()
                .filter(|c| !c.is_control())
                .take(400)
                .collect();
            (!first.is_empty()).then_some(first)
        });
    if answer.status().as_u16() == 401 {
        return DialError::token_refused(words);
    }
    DialError::Refused {
        status: answer.status().as_u16(),
        words,
        retry_after,
    }
}

/// TLS that believes these authorities and no others.
fn trusting(path: &Path) -> Result<Connector, DialError> {
    let wrong = |reason: String| DialError::CaFile {
        path: path.to_owned(),
        reason,
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|cause| wrong(cause.to_string()))? {
        let certificate = certificate.map_err(|cause| wrong(cause.to_string()))?;
        roots.add(certificate).map_err(|cause| wrong(cause.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("it holds no certificate".into()));
    }
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Connector::Rustls(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_of_a_websocket_without_secrets_is_taken() {
        for wrong in [
            "",
            "platform",
            "http://h/",
            "wss://user:secret@h/agent/",
            "wss://h/agent/?token=secret",
        ] {
            assert!(
                matches!(Door::new(wrong, None, 1), Err(DialError::BadUrl { .. })),
                "{wrong}"
            );
        }
        let door = Door::new("wss://[::1]:8443/agent/", None, 1).unwrap();
        assert_eq!((door.host.as_str(), door.port, door.tls), ("::1", 8443, true));
        assert_eq!(Door::new("ws://h/agent/", None, 1).unwrap().port, 80);
    }

    #[test]
    fn a_file_without_certificates_is_refused_with_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = Door::new("wss://h/", Some(file.path()), 1).err().unwrap();
        assert!(
            refused.to_string().contains(&file.path().display().to_string()),
            "{refused}"
        );
    }
}
