//! `c7n cp`: files and folders both ways, whole or an error.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use anyhow::{Result, ensure};

use super::{Scene, complaint};

#[tokio::test]
async fn what_is_copied_is_the_same_on_both_sides() -> Result<()> {
    let Some(scene) = Scene::open("copy").await? else {
        return Ok(());
    };
    scene.idle_pod("web-a", "web").await?;
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();

    // 50 MB, there and back.
    let noise: Vec<u8> = (0..12_500_000_u32)
        .flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    fs::write(at("big"), &noise)?;
    fs::set_permissions(at("big"), fs::Permissions::from_mode(0o750))?;
    let sum = c7n_pack::sha256(&noise);
    let output = scene.output("cp", &[&at("big"), "web-a:/tmp/big"]).await?;
    ensure!(
        output.status.success() && complaint(&output).contains("checked by SHA-256"),
        "{output:?}"
    );
    let there = scene
        .run("exec", &["web-a", "--", "sha256sum", "/tmp/big"])
        .await?;
    ensure!(there.starts_with(&sum), "{there}");
    let output = scene.output("cp", &["web-a:/tmp/big", &at("back")]).await?;
    ensure!(
        output.status.success() && complaint(&output).contains("checked by SHA-256"),
        "{output:?}"
    );
    ensure!(c7n_pack::sha256(&fs::read(at("back"))?) == sum);
    ensure!(fs::metadata(at("back"))?.permissions().mode() & 0o777 == 0o750);

    // A folder with a link inside it, there and back, into a folder that is there and under a name of its own.
    fs::create_dir_all(at("tree/deep"))?;
    fs::write(at("tree/deep/file"), "deep")?;
    fs::write(at(&format!("tree/{}", "n".repeat(150))), "long")?;
    symlink("deep/file", at("tree/link"))?;
    scene.run("cp", &[&at("tree"), "web-a:/tmp"]).await?;
    ensure!(
        scene
            .run("exec", &["web-a", "--", "cat", "/tmp/tree/link"])
            .await?
            == "deep"
    );
    scene.run("cp", &["web-a:/tmp/tree", &at("copy")]).await?;
    ensure!(fs::read_to_string(at("copy/link"))? == "deep");
    ensure!(fs::read_to_string(at(&format!("copy/{}", "n".repeat(150))))? == "long");
    scene.run("cp", &["instance/web:/tmp/tree", &at("copy")]).await?;
    ensure!(fs::read_to_string(at("copy/tree/deep/file"))? == "deep");

    // A link that leads out is not made, and that is said.
    scene
        .run("exec", &["web-a", "--", "ln", "-s", "/etc", "/tmp/tree/out"])
        .await
        .ok();
    scene
        .run(
            "exec",
            &["web-a", "--", "busybox", "ln", "-sf", "/etc", "/tmp/tree/out"],
        )
        .await?;
    let output = scene.output("cp", &["web-a:/tmp/tree", &at("careful")]).await?;
    ensure!(
        output.status.code() == Some(1) && complaint(&output).contains("a link that leads out"),
        "{output:?}"
    );
    ensure!(fs::symlink_metadata(at("careful/out")).is_err());

    // What cannot be done is told, and leaves nothing half done.
    let output = scene.output("cp", &["web-a:/tmp/nothing", &at("none")]).await?;
    ensure!(
        output.status.code() == Some(1) && complaint(&output).contains("there is no /tmp/nothing"),
        "{output:?}"
    );
    ensure!(fs::symlink_metadata(at("none")).is_err());
    let output = scene
        .output("cp", &[&at("big"), "web-a:/no/such/folder/big"])
        .await?;
    ensure!(
        output.status.code() == Some(1) && complaint(&output).contains("there is no folder /no/such/folder"),
        "{output:?}"
    );
    let output = scene.output("cp", &["web-a:/a", "web-a:/b"]).await?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    Ok(())
}
