//! Container images of the product's two programs, made without Docker from what is compiled and installed here.
//!
//! In: a compiled program, and files of this Debian or Ubuntu machine that it calls (git, ssh, a shell, libraries,
//! authorities). Out: an OCI archive and a bill of materials; the same inputs give the same bytes. Two layers: what comes
//! from the distribution below, ours above, so that an upgrade moves the upper one alone.
//!
//! Never: a package manager, a file that the program does not need, anything that only this machine trusts.

mod closure;
mod contents;
mod root;
mod sbom;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use c7n_pack::gzip::Effort;
use c7n_pack::oci::{Image, Layout, Packing};
use c7n_pack::sha256;
use serde_json::json;

use crate::programs::{self, Program};

pub use contents::{AGENT, Kind, SERVER};

/// What an image is made of.
#[derive(Debug, Clone)]
pub struct Order {
    pub kind: Kind,
    /// The compiled program.
    pub program: PathBuf,
    /// `c7n-helm`, for the agent.
    pub helm_worker: Option<PathBuf>,
    /// `REPOSITORY:TAG`, one or more for the same image.
    pub names: Vec<String>,
    pub effort: Effort,
}

/// An image, made.
pub struct Made {
    pub archive: Vec<u8>,
    /// CycloneDX, JSON.
    pub sbom: Vec<u8>,
    /// Of the manifest.
    pub digest: String,
    /// Bytes of both layers before compression.
    pub unpacked: usize,
}

/// Makes the image. Blocks: it reads, strips and compresses a hundred megabytes.
pub fn make(order: &Order) -> Result<Made> {
    let (system, own) = contents::roots(order)?;
    let sbom = sbom::bill(order, &system, &own)?;
    let mut own = own;
    let name = format!("usr/share/sbom/{}.cdx.json", order.kind.program());
    own.file(&name, 0o644, sbom.clone());

    let mut layout = Layout::default();
    let tars = [system.tar(), own.tar()];
    let unpacked = tars.iter().map(Vec::len).sum();
    let layers = tars.map(|tar| layout.layer(tar, Packing::Gzip(order.effort)));
    let annotations = annotations(order.kind, &sbom);
    let mut digest = String::new();
    for image in &order.names {
        digest = layout.image(&Image {
            name: image,
            layers: &layers,
            settings: json!({
                "Entrypoint": [format!("/usr/local/bin/{}", order.kind.program())],
                "Env": [
                    "PATH=/usr/local/bin:/usr/bin",
                    "HOME=/tmp",
                    "TMPDIR=/tmp",
                    "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
                    "GIT_CONFIG_NOSYSTEM=1",
                ],
                "WorkingDir": "/tmp",
                "User": "65532:65532",
                "Labels": annotations,
            }),
            annotations: annotations.clone(),
        });
    }
    Ok(Made {
        archive: layout.finish(),
        sbom,
        digest,
        unpacked,
    })
}

fn annotations(kind: Kind, sbom: &[u8]) -> BTreeMap<String, String> {
    [
        ("org.opencontainers.image.title", kind.program().to_owned()),
        (
            "org.opencontainers.image.version",
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
        ("org.opencontainers.image.licenses", "Apache-2.0".to_owned()),
        ("io.choerodon.sbom.digest", format!("sha256:{}", sha256(sbom))),
        (
            "io.choerodon.sbom.path",
            format!("/usr/share/sbom/{}.cdx.json", kind.program()),
        ),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// The program that runs charts, for the agent's image.
pub async fn helm_worker(kind: Kind) -> Result<Option<PathBuf>> {
    match kind {
        Kind::Agent => programs::ensure(Program::HelmWorker).await.map(Some),
        Kind::Server => Ok(None),
    }
}

/// Writes `NAME.tar` and `NAME.cdx.json` into the folder; returns the archive's path.
pub fn write(made: &Made, kind: Kind, folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let place = |end: &str| folder.join(format!("{}.{end}", kind.program()));
    let archive = place("tar");
    for (path, content) in [(&archive, &made.archive), (&place("cdx.json"), &made.sbom)] {
        std::fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(archive)
}
