//! What stands between an agent and its platform in real networks: a proxy that wants a password, and an end of TLS whose
//! certificate an authority of one's own has signed. Both on loopback; both end when dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A name of the platform that the proxy can resolve, and nobody else.
pub const PLATFORM: &str = "c7n.test";

/// A certificate authority that no system knows.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
        })
    }

    fn acceptor(&self) -> Result<TlsAcceptor> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec!["localhost".to_owned(), PLATFORM.to_owned()])?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Ends TLS for `localhost` and [`PLATFORM`] and hands on what was in it.
pub struct TlsEnd {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl TlsEnd {
    pub async fn start(authority: &Authority, target: SocketAddr) -> Result<Self> {
        let acceptor = authority.acceptor()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(serve(listener, move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let mut inside = acceptor.accept(stream).await?;
                let mut target = TcpStream::connect(target).await?;
                copy_bidirectional(&mut inside, &mut target).await?;
                Ok(())
            }
        }));
        Ok(Self { address, task })
    }

    /// HOST:PORT as its certificate has it.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }
}

impl Drop for TlsEnd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An HTTP proxy that opens ways by CONNECT to who knows the password.
pub struct ConnectProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug)]
pub struct Asked {
    /// HOST:PORT, or the first line of what was no CONNECT.
    pub target: String,
    pub let_through: bool,
}

impl ConnectProxy {
    pub async fn start(user: &str, password: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let wanted = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let book = asked.clone();
        let task = tokio::spawn(serve(listener, move |stream| {
            tunnel(stream, wanted.clone(), book.clone())
        }));
        Ok(Self { address, asked, task })
    }

    /// Its address with these credentials, which are written as a URL wants them.
    pub fn url(&self, user: &str, password: &str) -> String {
        format!("http://{user}:{password}@{}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tunnel(mut stream: TcpStream, wanted: String, book: Arc<Mutex<Vec<Asked>>>) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        anyhow::ensure!(head.len() < 8 << 10, "an endless head");
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    let mut lines = head.lines();
    let first = lines.next().context("a request has a first line")?;
    let target = first
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split(' ').next());
    let known = lines
        .filter_map(|line| line.split_once(": "))
        .any(|(name, value)| name.eq_ignore_ascii_case("proxy-authorization") && value == wanted);
    let asked = Asked {
        target: target.unwrap_or(first).to_owned(),
        let_through: known && target.is_some(),
    };
    book.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(asked.clone());
    if !asked.let_through {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"test\"\r\n\
                       Content-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(refusal.as_bytes()).await?;
        return Ok(());
    }
    // Whatever its name, all that these tests reach is on this machine.
    let (_, port) = asked.target.rsplit_once(':').context("HOST:PORT")?;
    let mut peer = TcpStream::connect((Ipv4Addr::LOCALHOST, port.parse()?)).await?;
    stream
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await?;
    copy_bidirectional(&mut stream, &mut peer).await?;
    Ok(())
}

/// Every connection in a task of its own, which ends with this one.
async fn serve<F>(listener: TcpListener, handle: impl Fn(TcpStream) -> F)
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        // Who goes away, or distrusts the certificate, is what tests are about.
        let handled = handle(stream);
        connections.spawn(async move { handled.await.ok() });
    }
}
