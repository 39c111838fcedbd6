//! The container images: the same bytes each time, small, and with all that the programs call.

use std::path::Path;

use anyhow::Result;
use c7n_pack::gzip::Effort;
use c7n_testbed::image::{self, Kind, Made, Order};
use c7n_testbed::stack::Binaries;
use serde_json::Value;
use tokio::process::Command;

async fn make(kind: Kind) -> Result<Made> {
    let binaries = Binaries::beside_me()?;
    let order = Order {
        kind,
        program: match kind {
            Kind::Agent => binaries.agent,
            Kind::Server => binaries.server,
        },
        helm_worker: image::helm_worker(kind).await?,
        names: vec![format!("c7n.local/{}:twice", kind.program())],
        effort: Effort::Fast,
    };
    tokio::task::spawn_blocking(move || image::make(&order)).await?
}

#[tokio::test]
async fn the_same_programs_give_the_same_image_and_a_bill_of_what_is_in_it() -> Result<()> {
    for kind in [Kind::Agent, Kind::Server] {
        let (one, two) = (make(kind).await?, make(kind).await?);
        assert_eq!(one.digest, two.digest);
        assert!(one.archive == two.archive, "{kind:?} differs from itself");
        assert_eq!(one.sbom, two.sbom);

        let bill: Value = serde_json::from_slice(&one.sbom)?;
        let purls: Vec<&str> = bill["components"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|component| component["purl"].as_str())
            .collect();
        for wanted in ["pkg:cargo/tokio@", "/git@", "/libc6@", "/ca-certificates@"] {
            assert!(
                purls.iter().any(|purl| purl.contains(wanted)),
                "{wanted} in {purls:?}"
            );
        }
        assert!(
            !purls.iter().any(|purl| purl.contains("cargo/insta@")),
            "what only tests use is not in it"
        );
        eprintln!(
            "{}: {} MB, unpacked {} MB, {} components",
            kind.program(),
            one.archive.len() / 1_000_000,
            one.unpacked / 1_000_000,
            purls.len()
        );
    }
    Ok(())
}

/// As a container runtime does: the layers of the one image, the lowest first.
async fn unpack(archive: &[u8], root: &Path) -> Result<()> {
    let layout = tempfile::tempdir()?;
    let file = layout.path().join("image.tar");
    std::fs::write(&file, archive)?;
    tar(&["-xf"], &file, layout.path()).await?;
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"]
            .as_str()
            .unwrap_or_default()
            .replace(':', "/");
        layout.path().join("blobs").join(digest)
    };
    let index: Value = serde_json::from_slice(&std::fs::read(layout.path().join("index.json"))?)?;
    let manifest: Value = serde_json::from_slice(&std::fs::read(blob(&index["manifests"][0]))?)?;
    for layer in manifest["layers"].as_array().into_iter().flatten() {
        tar(&["--same-permissions", "-xzf"], &blob(layer), root).await?;
    }
    Ok(())
}

async fn tar(flags: &[&str], file: &Path, into: &Path) -> Result<()> {
    let status = Command::new("tar")
        .args(flags)
        .arg(file)
        .arg("-C")
        .arg(into)
        .status()
        .await?;
    anyhow::ensure!(status.success(), "tar ended with {status}");
    Ok(())
}

/// In its own root and nothing else: what is missing there would be missing in a cluster.
#[tokio::test]
async fn everything_that_the_agent_calls_starts_inside_its_image() -> Result<()> {
    if !c7n_testbed::programs::packages::is_root() {
        eprintln!("NOT RUN: starting programs in another root needs root");
        return Ok(());
    }
    for (kind, programs) in [
        (
            Kind::Agent,
            &[
                "c7n-agent --version",
                "git --version",
                "ssh -V",
                "ssh-keygen -t ed25519 -N  -f /tmp/key -q",
                "sh -c true",
                "git remote-https",
            ][..],
        ),
        (
            Kind::Server,
            &[
                "c7n-server --version",
                "git --version",
                "sh -c true",
                "git upload-pack -h",
            ],
        ),
    ] {
        let root = tempfile::tempdir()?;
        unpack(&make(kind).await?.archive, root.path()).await?;
        // ssh-keygen and git open it; a container has it.
        std::fs::create_dir_all(root.path().join("dev"))?;
        std::fs::write(root.path().join("dev/null"), "")?;
        for line in programs {
            let mut words = line.split(' ');
            let output = Command::new("chroot")
                .arg("--userspec=65532:65532")
                .arg(root.path())
                .env_clear()
                .env("PATH", "/usr/sbin:/usr/bin:/usr/local/bin:/sbin:/bin")
                .args(words.by_ref())
                .output()
                .await?;
            let said = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            for missing in [
                "No such file",
                "cannot open shared object",
                "not found",
                "failed to run command",
            ] {
                assert!(!said.contains(missing), "{}: {line}: {said}", kind.program());
            }
        }
    }
    Ok(())
}
