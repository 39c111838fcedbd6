//! What "ready" means for each part of a cluster. Callers set the deadlines.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;

use super::handle::ClusterHandle;
use super::prepare::RealNodePrograms;
use super::state::NodeState;
use super::{images, node, wait};

pub async fn api(handle: &ClusterHandle, port: u16) -> Result<()> {
    // A connection is cheap to try, a kubectl is not.
    wait::until(Duration::from_millis(50), || async {
        TcpStream::connect(("127.0.0.1", port)).await.is_ok()
    })
    .await;
    wait::until(Duration::from_millis(200), || async {
        handle.kubectl(["get", "--raw=/readyz"]).await.is_ok()
    })
    .await;
    Ok(())
}

/// Pods are refused until their service account exists.
pub async fn service_account(handle: &ClusterHandle) -> Result<()> {
    handle
        .kubectl([
            "wait",
            "--for=create",
            "serviceaccount/default",
            "--namespace=default",
            "--timeout=90s",
        ])
        .await?;
    Ok(())
}

pub async fn nodes(handle: &ClusterHandle, which: &str) -> Result<()> {
    handle
        .kubectl(["wait", "--for=condition=Ready", "node", which, "--timeout=90s"])
        .await?;
    Ok(())
}

pub async fn real_node(handle: &ClusterHandle, node: &NodeState) -> Result<()> {
    let name = node.name.as_str();
    handle
        .kubectl(["wait", "--for=create", &format!("node/{name}"), "--timeout=90s"])
        .await?;
    let addresses = node::addresses(node).to_string();
    handle
        .kubectl([
            "patch",
            "node",
            name,
            "--subresource=status",
            "--patch",
            &addresses,
        ])
        .await?;
    handle
        .kubectl(["taint", "node", name, &format!("{}-", node::UNINITIALIZED_TAINT)])
        .await?;
    nodes(handle, name).await
}

pub async fn import_images(folder: &Path, programs: &RealNodePrograms) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let contents = images::Contents {
        pause: read(&programs.pause)?,
        sample: read(&programs.sample)?,
        busybox: programs.distribution.busybox.as_deref().map(read).transpose()?,
    };
    let archive = folder.join("images.tar");
    fs::write(&archive, images::archive(&contents)).context("cannot write the images")?;
    import(folder, &programs.distribution.ctr, &archive).await?;
    let _ = fs::remove_file(archive);
    Ok(())
}

/// Hands an OCI archive to the containerd of the cluster in this folder.
pub async fn import(folder: &Path, ctr: &Path, archive: &Path) -> Result<()> {
    let socket = node::socket(folder);
    wait::until(Duration::from_millis(50), || async {
        UnixStream::connect(&socket).await.is_ok()
    })
    .await;
    let output = Command::new(ctr)
        .arg("--address")
        .arg(&socket)
        .args(["--namespace", "k8s.io", "images", "import"])
        .arg(archive)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run ctr")?;
    if !output.status.success() {
        bail!(
            "containerd did not take the images: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
