//! A certificate authority of one's own and what it signs for one cluster.
//!
//! In: the node's name. Out: files below `pki/`, and key pairs for kubeconfigs. All keys are P-256.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// The files of one cluster, written.
#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    pub authority_pem: String,
}

/// A certificate and its key, both PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

/// Who a certificate is for.
struct Subject<'a> {
    common_name: &'a str,
    organisation: Option<&'a str>,
    addresses: &'a [&'a str],
}

impl Certificates {
    /// Makes the authority, the servers' and the programs' certificates, and the key of service accounts.
    pub fn create(folder: &Path, node: Option<&str>) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let key = KeyPair::generate()?;
        let mut authority = CertificateParams::default();
        authority
            .distinguished_name
            .push(DnType::CommonName, "c7n local cluster");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority_pem = authority.self_signed(&key)?.pem();
        let certificates = Self {
            folder: folder.to_path_buf(),
            issuer: Issuer::new(authority, key),
            authority_pem,
        };
        fs::write(certificates.file("ca.crt"), &certificates.authority_pem)?;

        let local = ["localhost", "127.0.0.1"];
        let api = [
            "localhost",
            "127.0.0.1",
            "10.200.0.1",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
        ];
        certificates.write("apiserver", &Subject::server("kube-apiserver", &api))?;
        certificates.write("etcd", &Subject::server("etcd", &local))?;
        certificates.write(
            "kubelet-client",
            &Subject::client("kube-apiserver-kubelet-client", None),
        )?;
        certificates.write("front-proxy", &Subject::client("front-proxy-client", None))?;
        certificates.write("kwok-server", &Subject::server("kwok", &local))?;
        if let Some(node) = node {
            certificates.write(
                "kubelet-server",
                &Subject::server(node, &["localhost", "127.0.0.1", node]),
            )?;
        }
        let service_accounts = KeyPair::generate()?;
        certificates.write_secret("service-accounts.key", &service_accounts.serialize_pem())?;
        fs::write(
            certificates.file("service-accounts.pub"),
            service_accounts.public_key_pem(),
        )?;
        Ok(certificates)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// For a kubeconfig: a user `common_name` in the group `organisation`.
    pub fn client(&self, common_name: &str, organisation: Option<&str>) -> Result<Identity> {
        self.sign(&Subject::client(common_name, organisation))
    }

    fn write(&self, name: &str, subject: &Subject<'_>) -> Result<()> {
        let identity = self.sign(subject)?;
        fs::write(self.file(&format!("{name}.crt")), identity.certificate)?;
        self.write_secret(&format!("{name}.key"), &identity.key)
    }

    fn write_secret(&self, name: &str, content: &str) -> Result<()> {
        write_secret(&self.file(name), content.as_bytes())
    }

    fn sign(&self, subject: &Subject<'_>) -> Result<Identity> {
        let addresses: Vec<String> = subject
            .addresses
            .iter()
            .map(|address| (*address).to_owned())
            .collect();
        let mut certificate = CertificateParams::new(addresses)?;
        certificate
            .distinguished_name
            .push(DnType::CommonName, subject.common_name);
        if let Some(organisation) = subject.organisation {
            certificate
                .distinguished_name
                .push(DnType::OrganizationName, organisation);
        }
        certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // etcd uses its server certificate as a client's too.
        certificate.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate()?;
        let certificate = certificate.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

impl<'a> Subject<'a> {
    fn server(common_name: &'a str, addresses: &'a [&'a str]) -> Self {
        Self {
            common_name,
            organisation: None,
            addresses,
        }
    }

    fn client(common_name: &'a str, organisation: Option<&'a str>) -> Self {
        Self {
            common_name,
            organisation,
            addresses: &[],
        }
    }
}

/// Readable by its owner only.
pub fn write_secret(path: &Path, content: &[u8]) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .with_context(|| format!("cannot write {}", path.display()))
}
