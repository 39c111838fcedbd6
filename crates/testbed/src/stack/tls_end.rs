//! An end of TLS whose certificate an authority of one's own has signed. On loopback; it ends when dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A name of the end that no resolver knows.
pub const OTHER_NAME: &str = "c7n.test";

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
        let params = CertificateParams::new(vec!["localhost".to_owned(), OTHER_NAME.to_owned()])?;
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

/// Ends TLS for `localhost` and [`OTHER_NAME`] and hands on what was in it.
pub struct TlsEnd {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl TlsEnd {
    pub async fn start(authority: &Authority, target: SocketAddr) -> Result<Self> {
        let acceptor = authority.acceptor()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(each_connection(listener, move |stream| {
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

/// Every connection in a task of its own, which ends with this one.
pub async fn each_connection<F>(listener: TcpListener, handle: impl Fn(TcpStream) -> F)
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
